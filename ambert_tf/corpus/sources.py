"""Sources of a corpus, by name: files, gzip or not, local or remote, and parts of TensorFlow Datasets.

A source that can only be read from its beginning is a *stream*.
"""

import dataclasses
import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from ambert_tf.errors import InputError
from ambert_tf.files import file_size, file_version, input_files, open_input
from ambert_tf.flags import setting

_TFDS = "tfds:"


class Readable(Protocol):
    """Anything that is read like a file."""

    def read(self, size: int, /) -> bytes:
        """Returns the next `size` bytes; fewer at the end only."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorpusSettings:
    """The corpus that a program reads; one of `input_file` and `input_tfds` is given."""

    input_file: str | None = setting(
        None,
        "Corpus: UTF-8, one sentence per line, an empty line between documents; .gz too. File names and patterns, "
        "separated by commas.",
    )
    input_tfds: str | None = setting(
        None,
        "Instead: a data set of TensorFlow Datasets, such as wikipedia/20230601.en. Each example is a document, each "
        "line of its text a sentence.",
    )
    tfds_data_dir: str | None = setting(None, "Directory of the prepared data set. Defaults to TensorFlow Datasets'.")
    tfds_split: str = setting("train", "Split of the data set, such as train or train[:10%].")
    tfds_text_key: str = setting("text", "Feature of the data set that is the text.")
    errors: str = setting(
        "strict",
        "Lines that are not UTF-8: strict is an error; replace inserts U+FFFD and counts them.",
        ("strict", "replace"),
    )

    def source_names(self) -> list[str]:
        """Returns the names of the sources.

        Raises:
          InputError: neither or both of `input_file` and `input_tfds` are given, or a name is wrong.
        """
        if (self.input_file is None) == (self.input_tfds is None):
            raise InputError("give either --input_file or --input_tfds")
        if self.input_tfds is None:
            return input_files(self.input_file or "", "input_file")
        # Takes a second to import.
        from ambert_tf.corpus import tfds_corpus

        return tfds_corpus.part_names(self.input_tfds, self.tfds_data_dir, self.tfds_split, self.tfds_text_key)

    @property
    def corpus_flag(self) -> str:
        """The corpus as messages name it."""
        return f"--input_file={self.input_file}" if self.input_tfds is None else f"--input_tfds={self.input_tfds}"


def is_stream(name: str) -> bool:
    """Returns whether a source can only be read from its beginning."""
    return name.endswith(".gz") or name.startswith(_TFDS)


def source_size(name: str) -> int:
    """Returns the stored size of a source in bytes."""
    if name.startswith(_TFDS):
        from ambert_tf.corpus import tfds_corpus

        return tfds_corpus.size(name)
    return file_size(name)


def source_version(name: str) -> tuple[int, ...]:
    """Returns size and modification time of a file; a part of TensorFlow Datasets has its version in its name."""
    return () if name.startswith(_TFDS) else file_version(name)


def flag_of(name: str) -> str:
    """Returns a source as messages name it, with its flag."""
    return f"--input_tfds={name.removeprefix(_TFDS)}" if name.startswith(_TFDS) else f"--input_file={name}"


@contextmanager
def open_source(name: str) -> Iterator[tuple[Readable, Callable[[], int]]]:
    """Opens a source; yields its text as a file, and a function that returns how much of `source_size` has been read.

    Raises:
      InputError: it is damaged, which is found while it is read.
    """
    if name.startswith(_TFDS):
        from ambert_tf.corpus import tfds_corpus

        stream = tfds_corpus.TextStream(name)
        yield stream, stream.tell
        return
    with open_input(name) as file:
        if not is_stream(name):
            yield file, file.tell
            return
        try:
            with gzip.open(file, "rb") as unpacked:
                yield unpacked, file.tell
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise InputError(f"{flag_of(name)}: not a gzip file, or damaged or truncated") from None
