"""Reads corpora, from files or TensorFlow Datasets, as documents of sentences."""
