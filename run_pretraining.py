"""Pre-trains AMBERT: see `--help`, and `PretrainingSettings` for its flags."""

from ambert_tf.commands import pretrain

if __name__ == "__main__":
    pretrain()
