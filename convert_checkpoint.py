"""Converts BERT and AMBERT checkpoints: see `--help`, and `ConversionSettings` for its flags."""

from ambert_tf.commands import convert

if __name__ == "__main__":
    convert()
