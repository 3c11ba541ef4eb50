"""Computes initial token embeddings: see `--help`, and `CooccurrenceSettings` for its flags."""

from ambert_tf.commands import build_embeddings

if __name__ == "__main__":
    build_embeddings()
