"""Fine-tunes for sequence labelling: see `--help`, and `TaggingSettings` for its flags."""

from ambert_tf.commands import ner

if __name__ == "__main__":
    ner()
