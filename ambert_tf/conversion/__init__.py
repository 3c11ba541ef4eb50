"""Conversion between BERT checkpoints (Google's, Hugging Face's, KerasHub's) and this project's model directories."""
