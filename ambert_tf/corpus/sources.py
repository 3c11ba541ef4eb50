"""Sources of a corpus, by name: plain or gzip files, local or remote, and parts of TensorFlow Datasets.

A source that can only be read from its start is a *stream*.
"""

import dataclasses
import gzip
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from ambert_tf.errors import InputError
from ambert_tf.files import file_size, file_version, input_files, is_remote, open_input, real_path
from ambert_tf.flags import setting

_TFDS = "tfds:"


class Readable(Protocol):
    """A file-like object for reading."""

    def read(self, size: int, /) -> bytes:
        """Returns the next `size` bytes, or fewer at the end."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorpusSettings:
    """The corpus that a program reads, given by either `input_file` or `input_tfds`."""

    input_file: str | None = setting(
        None,
        "Corpus: comma-separated files or patterns, plain or .gz, in UTF-8, with one sentence per line and an empty "
        "line between documents.",
    )
    input_tfds: str | None = setting(
        None,
        "Corpus in TensorFlow Datasets, such as wikipedia/20230601.en, instead of --input_file. Each example is a "
        "document, and each line of its text is a sentence.",
    )
    tfds_data_dir: str | None = setting(None, "Data directory of TensorFlow Datasets. Defaults to its own default.")
    tfds_split: str | None = setting(None, "Split of the data set, such as train or train[:10%]. Defaults to train.")
    tfds_text_key: str | None = setting(None, "Feature of the data set that contains the text. Defaults to text.")
    errors: str = setting(
        "strict",
        "Lines that are not UTF-8: raise an error (strict), or insert U+FFFD and count them (replace).",
        ("strict", "replace"),
    )

    def source_names(self, outputs: Iterable[str] = ()) -> list[str]:
        """Returns the names of the sources.

        Args:
          outputs: the files that `output_file` stands for.

        Raises:
          InputError: neither or both of `input_file` and `input_tfds` are given, a flag is for the other one, a name is
            invalid, a file cannot be read twice, or an output would replace it.
        """
        if (self.input_file is None) == (self.input_tfds is None):
            raise InputError("exactly one of --input_file and --input_tfds is needed")
        if self.input_tfds is None:
            for flag in ("tfds_data_dir", "tfds_split", "tfds_text_key"):
                if getattr(self, flag) is not None:
                    raise InputError(f"--{flag}: is for --input_tfds; omit it with --input_file")
            names = input_files(self.input_file or "", "input_file")
            written = set(map(real_path, outputs))
            for name in names:
                if not is_remote(name) and not os.path.isfile(name):
                    raise InputError(f"--input_file={name}: is a pipe or a device; it is read twice, so name a file")
                if real_path(name) in written:
                    raise InputError(f"--output_file: would replace {name}, which --input_file={self.input_file} names")
            return names
        # Imported here, because the import takes a second.
        from ambert_tf.corpus import tfds_corpus

        return tfds_corpus.part_names(
            self.input_tfds, self.tfds_data_dir, self.tfds_split or "train", self.tfds_text_key or "text"
        )

    @property
    def corpus_flag(self) -> str:
        """The corpus's flag and value, for messages."""
        return f"--input_file={self.input_file}" if self.input_tfds is None else f"--input_tfds={self.input_tfds}"


def is_stream(name: str) -> bool:
    """Returns whether a source can only be read from its start."""
    return name.endswith(".gz") or name.startswith(_TFDS)


def source_size(name: str) -> int:
    """Returns the stored size of a source in bytes."""
    if name.startswith(_TFDS):
        from ambert_tf.corpus import tfds_corpus

        return tfds_corpus.size(name)
    return file_size(name)


def source_version(name: str) -> tuple[int, ...]:
    """Returns the size and modification time of a file. For TensorFlow Datasets, the name includes the version."""
    return () if name.startswith(_TFDS) else file_version(name)


def flag_of(name: str) -> str:
    """Returns a source with its flag, for messages."""
    return f"--input_tfds={name.removeprefix(_TFDS)}" if name.startswith(_TFDS) else f"--input_file={name}"


@contextmanager
def open_source(name: str) -> Iterator[tuple[Readable, Callable[[], int]]]:
    """Opens a source. Yields a file-like object, and a function that returns how much of `source_size` has been read.

    Raises:
      InputError: the source is damaged. This may be detected only while reading.
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
