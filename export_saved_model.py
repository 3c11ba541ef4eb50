"""Exports a fine-tuned model as a SavedModel: see `--help`, and `ExportSettings` for its flags."""

from ambert_tf.commands import export

if __name__ == "__main__":
    export()
