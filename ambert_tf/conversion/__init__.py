"""BERT checkpoints of other projects, in and out: Google's and Hugging Face's, and this project's model directories."""
