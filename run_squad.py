"""Fine-tunes for extractive question answering: see `--help`, and `SpanSettings` for its flags."""

from ambert_tf.commands import squad

if __name__ == "__main__":
    squad()
