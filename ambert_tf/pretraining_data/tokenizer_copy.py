"""The copy of the tokenizer directory beside the records, which makes them self-contained."""

import os
import tempfile
from collections.abc import Sequence

import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.files import exists, is_directory, is_remote
from ambert_tf.tokenization.tokenizer import SETTINGS_FILE, MultiGrainedTokenizer

TOKENIZER_DIRECTORY = "tokenizer"


def check_copy(output_file: str, tokenizer: MultiGrainedTokenizer) -> None:
    """Checks that `tokenizer/` beside the output may be written: it is missing, empty or the same tokenizer.

    Raises:
      InputError: it is another tokenizer or something else.
    """
    directory = _beside(output_file)
    if not is_directory(directory) or not tf.io.gfile.listdir(directory):
        return
    advice = "write the records to another directory"
    try:
        found = MultiGrainedTokenizer.load(directory).fingerprint
    except InputError as error:
        raise InputError(f"--output_file={output_file}: {directory} is not a tokenizer ({error}); {advice}") from None
    if found != tokenizer.fingerprint:
        raise InputError(
            f"--output_file={output_file}: {directory}, of other records there, is not the tokenizer of "
            f"--tokenizer_dir; {advice}"
        )


def write_copy(output_file: str, tokenizer: MultiGrainedTokenizer) -> None:
    """Writes `tokenizer/` beside the output, complete or not at all; one that `check_copy` accepted is kept."""
    directory = _beside(output_file)
    if not is_directory(directory) or not tf.io.gfile.listdir(directory):
        _save(tokenizer, directory)


def find_copy(files: Sequence[str]) -> str | None:
    """Returns the tokenizer directory beside some records; None if there is none, as for records of older versions."""
    for name in files:
        if exists(os.path.join(_beside(name), SETTINGS_FILE)):
            return _beside(name)
    return None


def _save(tokenizer: MultiGrainedTokenizer, directory: str) -> None:
    if not is_remote(directory):
        tokenizer.save(directory)
        return
    with tempfile.TemporaryDirectory() as parent:
        local = os.path.join(parent, TOKENIZER_DIRECTORY)
        tokenizer.save(local)
        tf.io.gfile.makedirs(directory)
        # tokenizer.json last: without it the directory is not a tokenizer.
        for name in sorted(os.listdir(local), key=lambda name: name == SETTINGS_FILE):
            tf.io.gfile.copy(os.path.join(local, name), os.path.join(directory, name), overwrite=True)


def _beside(name: str) -> str:
    return os.path.join(os.path.dirname(name), TOKENIZER_DIRECTORY)
