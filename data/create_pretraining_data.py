"""Creates pre-training records from a corpus: see `--help`, and `CreationSettings` for its flags."""

from ambert_tf.commands import create_pretraining_data

if __name__ == "__main__":
    create_pretraining_data()
