"""Builds a tokenizer directory: see `--help`, and `VocabularySettings` for its flags."""

from ambert_tf.commands import build_vocab

if __name__ == "__main__":
    build_vocab()
