"""What all runners do with their output: no mixing of shards of different runs, some examples, stats.json."""

import json
import os
import sys
import uuid
from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.pretraining_data.creation_settings import CreationSettings
from ambert_tf.pretraining_data.display import describe_record
from ambert_tf.pretraining_data.examples import decode_example
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

_LOGGED_EXAMPLES = 5


def list_names(directory: str) -> list[str]:
    """Returns the names in a directory, also a remote one; none if it does not exist."""
    directory = directory or "."
    return tf.io.gfile.listdir(directory) if tf.io.gfile.isdir(directory) else []


def write_json(content: dict[str, Any], path: str) -> None:
    """Writes a JSON file, complete or not at all, also a remote one."""
    temporary = f"{path}.{uuid.uuid4().hex}"
    with tf.io.gfile.GFile(temporary, "w") as file:
        file.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    tf.io.gfile.rename(temporary, path, overwrite=True)


def refuse_other_shards(settings: CreationSettings, names: Iterable[str]) -> None:
    """Checks the names of the files that are already in the output directory.

    Raises:
      InputError: one is a shard of a run with another number of shards.
    """
    output = os.path.basename(settings.output_file)
    ours = {os.path.basename(name) for name in settings.shard_names()}
    for name in sorted(names):
        numbers = name.removeprefix(f"{output}-").split("-of-")
        if name != output and name not in ours and len(numbers) == 2 and all(map(str.isdecimal, numbers)):
            raise InputError(
                f"--output_file={settings.output_file}: {name} is a shard of another run, which "
                "readers would take for a part of this one; remove it, or use another name"
            )


def log_examples(settings: CreationSettings, tokenizer: MultiGrainedTokenizer) -> None:
    """Prints the first records of the first shard to standard error."""
    compression = "GZIP" if settings.compression == "gzip" else ""
    records = tf.data.TFRecordDataset(settings.shard_names()[0], compression).take(_LOGGED_EXAMPLES)
    fine_vocab, coarse_vocab = tokenizer.fine_vocab, tokenizer.coarse_vocab
    for number, record in enumerate(records):
        text = describe_record(decode_example(record.numpy()), fine_vocab, coarse_vocab)
        print(f"example {number}: {text}", file=sys.stderr)
