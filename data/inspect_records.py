"""Prints pre-training records: see `--help`, and `InspectionSettings` for its flags."""

from ambert_tf.commands import inspect_records

if __name__ == "__main__":
    inspect_records()
