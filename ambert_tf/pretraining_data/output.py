"""Output handling shared by the runners: `stats.json`, printed examples, and checks against mixing shards of runs."""

import json
import os
import sys
from typing import Any

import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.files import is_directory, list_directory, read_json_object
from ambert_tf.outputs import atomic_path
from ambert_tf.pretraining_data.creation_settings import CreationSettings
from ambert_tf.pretraining_data.display import describe_record
from ambert_tf.pretraining_data.examples import decode_example
from ambert_tf.pretraining_data.stats import STATS_FILE
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

_LOGGED_EXAMPLES = 2


def write_json(content: dict[str, Any], path: str) -> None:
    """Writes a JSON file."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2, ensure_ascii=False)
        file.write("\n")


def refuse_other_records(settings: CreationSettings) -> None:
    """Checks the existing files in the output directory.

    Raises:
      InputError: a file is a shard of a run with a different number of shards, or `stats.json` is that of other
        records, which training reads with the settings in it.
    """
    directory, output = os.path.split(settings.output_file)
    ours = {os.path.basename(name) for name in settings.shard_names()}
    names = list_directory(directory or ".") if is_directory(directory or ".") else []
    for name in sorted(set(names) - ours):
        numbers = name.removeprefix(f"{output}-").split("-of-")
        if name == output or (len(numbers) == 2 and all(map(str.isdecimal, numbers))):
            raise InputError(
                f"--output_file={settings.output_file}: {name} is a shard of another run, which readers would treat as "
                "part of this one; remove it, or use another name"
            )
    path = os.path.join(directory, STATS_FILE)
    described = read_json_object(path).get("files") if STATS_FILE in names else None
    if others := sorted((set(described or ()) & set(names)) - ours):
        raise InputError(
            f"--output_file={settings.output_file}: {path} describes other records ({others[0]}); write these to a "
            "directory of their own"
        )


def log_examples(settings: CreationSettings, tokenizer: MultiGrainedTokenizer) -> None:
    """Prints the first records of the first shard to stderr."""
    compression = "GZIP" if settings.compression == "gzip" else ""
    records = tf.data.TFRecordDataset(settings.shard_names()[0], compression).take(_LOGGED_EXAMPLES)
    fine_vocab, coarse_vocab = tokenizer.fine_vocab, tokenizer.coarse_vocab
    for number, record in enumerate(records):
        text = describe_record(decode_example(record.numpy()), fine_vocab, coarse_vocab)
        print(f"example {number}: {text}", file=sys.stderr)
