"""Prints records, to inspect the data before training."""

import os

import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.files import is_directory, open_input, parse_json
from ambert_tf.pretraining_data.creation_settings import InspectionSettings
from ambert_tf.pretraining_data.display import check_record, describe_record, tabulate_record
from ambert_tf.pretraining_data.examples import decode_example
from ambert_tf.pretraining_data.records import compression_type, naming_damaged_files, record_files, record_kind
from ambert_tf.pretraining_data.stats import STATS_FILE
from ambert_tf.pretraining_data.tokenizer_copy import TOKENIZER_DIRECTORY, find_copy
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer


def print_records(settings: InspectionSettings) -> None:
    """Prints the records selected by the settings.

    Raises:
      InputError: a setting is invalid, a file is damaged or has no pre-training records, or the tokenizer is not that
        of the records.
    """
    settings.validate()
    files = record_files(",".join(settings.input_file), "input_file")
    record_kind(files)
    tokenizer = MultiGrainedTokenizer.load(settings.tokenizer_dir or find_copy(files) or _tokenizer_of_stats(files[0]))
    show = tabulate_record if settings.table else describe_record
    first, number = settings.first_record, 0
    for name in files:
        with naming_damaged_files([name]):
            for index, serialized in enumerate(tf.data.TFRecordDataset(name, compression_type(name))):
                if number >= first + settings.num_records:
                    return
                if number >= first:
                    record = decode_example(serialized.numpy())
                    try:
                        check_record(record, tokenizer.fine_vocab, tokenizer.coarse_vocab)
                    except InputError as error:
                        raise InputError(f"{name}: record {index} {error}") from None
                    text = show(record, tokenizer.fine_vocab, tokenizer.coarse_vocab)
                    print(f"{name} record {index}: {text}\n")
                number += 1
    if number <= first:
        raise InputError(f"--first_record={first}: there are only {number} records")


def _tokenizer_of_stats(name: str) -> str:
    """Returns the tokenizer directory named in `stats.json`. Older versions wrote no copy next to the records."""
    path = os.path.join(os.path.dirname(name), STATS_FILE)
    try:
        with open_input(path) as file:
            directory = parse_json(file.read())["arguments"]["tokenizer_dir"]
    except (OSError, tf.errors.OpError, ValueError, LookupError, TypeError):
        raise InputError(
            f"--tokenizer_dir is needed: next to {name}, there is neither {TOKENIZER_DIRECTORY}/ nor a {STATS_FILE} "
            "that names the tokenizer"
        ) from None
    if not isinstance(directory, str) or not is_directory(directory):
        raise InputError(f"--tokenizer_dir is needed: {path} names {directory}, which does not exist")
    return directory
