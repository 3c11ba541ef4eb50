"""BERT checkpoints of others, in and out: Google's, Hugging Face's, and model directories of this project."""
