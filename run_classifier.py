"""Fine-tunes a classifier: see `--help`, and `ClassificationSettings` for its flags."""

from ambert_tf.commands import classify

if __name__ == "__main__":
    classify()
