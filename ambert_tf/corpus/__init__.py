"""Corpora as users have them, files and TensorFlow Datasets, to documents of sentences."""
