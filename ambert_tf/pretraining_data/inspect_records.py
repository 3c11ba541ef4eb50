"""Printing records, for a look at the data before training on it."""

import json
import os
from collections.abc import Sequence

import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.pretraining_data.display import describe_record, tabulate_record
from ambert_tf.pretraining_data.examples import decode_example
from ambert_tf.pretraining_data.records import compression_type, naming_damaged_files, record_facts
from ambert_tf.pretraining_data.stats import STATS_FILE
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer


def print_records(files: Sequence[str], tokenizer_dir: str | None, first: int, count: int, table: bool) -> None:
    """Prints `count` records of `files` from number `first` on.

    Args:
      files: TFRecord files of pre-training records.
      tokenizer_dir: the tokenizer that they were made with; by default the one that `stats.json` beside them names.
      first: how many records to pass over.
      count: how many records to print at most.
      table: a line for each coarse token; otherwise three lines for each record.

    Raises:
      InputError: a file is damaged or holds something else, or the tokenizer is another one.
    """
    record_facts(files)
    tokenizer = MultiGrainedTokenizer.load(tokenizer_dir or _tokenizer_of(files[0]))
    show = tabulate_record if table else describe_record
    number = 0
    for name in files:
        with naming_damaged_files([name]):
            for index, serialized in enumerate(tf.data.TFRecordDataset(name, compression_type(name))):
                if number >= first + count:
                    return
                if number >= first:
                    record = decode_example(serialized.numpy())
                    text = show(record, tokenizer.fine_vocab, tokenizer.coarse_vocab)
                    print(f"{name} record {index}: {text}\n")
                number += 1
    if number <= first:
        raise InputError(f"--first_record={first}: there are only {number} records")


def _tokenizer_of(name: str) -> str:
    """Returns the tokenizer directory that `stats.json` beside a file names."""
    path = os.path.join(os.path.dirname(name), STATS_FILE)
    try:
        with open(path, encoding="utf-8") as file:
            directory = json.load(file)["arguments"]["tokenizer_dir"]
    except (OSError, ValueError, LookupError, TypeError):
        raise InputError(f"--tokenizer_dir is needed: there is no {path} that names the tokenizer") from None
    if not os.path.isdir(directory):
        raise InputError(f"--tokenizer_dir is needed: {path} names {directory}, which is not here")
    return directory
