"""The copy of the tokenizer directory next to the records, which makes them self-contained."""

import os
from collections.abc import Sequence

from ambert_tf.errors import InputError
from ambert_tf.files import exists, is_directory, list_directory
from ambert_tf.tokenization.tokenizer import SETTINGS_FILE, MultiGrainedTokenizer

TOKENIZER_DIRECTORY = "tokenizer"


def check_copy(output_file: str, tokenizer: MultiGrainedTokenizer) -> None:
    """Checks that `tokenizer/` may be written next to the output: it is missing, empty or the same tokenizer.

    Raises:
      InputError: the directory contains another tokenizer or something else.
    """
    directory = _beside(output_file)
    if not is_directory(directory) or not list_directory(directory):
        return
    advice = "write the records to another directory"
    try:
        found = MultiGrainedTokenizer.load(directory).fingerprint
    except InputError as error:
        raise InputError(f"--output_file={output_file}: {directory} is not a tokenizer ({error}); {advice}") from None
    if found != tokenizer.fingerprint:
        raise InputError(
            f"--output_file={output_file}: {directory}, which belongs to other records, is not the tokenizer of "
            f"--tokenizer_dir; {advice}"
        )


def write_copy(output_file: str, tokenizer: MultiGrainedTokenizer) -> None:
    """Atomically writes `tokenizer/` next to the output, unless it exists, in which case `check_copy` accepted it."""
    directory = _beside(output_file)
    if not is_directory(directory) or not list_directory(directory):
        tokenizer.save(directory)


def find_copy(files: Sequence[str]) -> str | None:
    """Returns the tokenizer directory next to records, or None if there is none, as with older versions."""
    for name in files:
        if exists(os.path.join(_beside(name), SETTINGS_FILE)):
            return _beside(name)
    return None


def _beside(name: str) -> str:
    return os.path.join(os.path.dirname(name), TOKENIZER_DIRECTORY)
