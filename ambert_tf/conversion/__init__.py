"""Conversion of BERT checkpoints: Google's, Hugging Face's, and this project's model directories."""
