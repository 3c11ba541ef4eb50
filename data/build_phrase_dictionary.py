"""Finds the phrases of an English corpus: see `--help`, and `PhraseSettings` for its flags."""

from ambert_tf.commands import build_phrase_dictionary

if __name__ == "__main__":
    build_phrase_dictionary()
