"""Files of records (TFRecord, plain or gzip): what they hold, how many, and which one is damaged.

The framing of TFRecord is length (uint64), its checksum (uint32), the record, its checksum (uint32),
little-endian.
"""

import dataclasses
import gzip
import itertools
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.files import file_size, open_input
from ambert_tf.pretraining_data import examples

_HEADER_BYTES = 12
_FOOTER_BYTES = 4
_WHAT_WOULD_BE_RIGHT = "pre-training records as data/create_pretraining_data.py writes them are needed"


@dataclasses.dataclass(frozen=True)
class RecordKind:
    """What the records of a data set hold.

    Attributes:
      masked: they were masked when they were made; otherwise they are masked when they are read.
      next_sentence: they have a next sentence label.
    """

    masked: bool
    next_sentence: bool


def record_kind(files: Sequence[str]) -> RecordKind:
    """Returns what the records of all of `files` hold, judged by the first one of each file.

    Raises:
      InputError: a file is damaged there, is empty, holds other records, or records of another kind than the
        rest.
    """
    facts: RecordKind | None = None
    for name in files:
        found = _facts_of_file(name)
        if facts is not None and found != facts:
            raise InputError(f"{name}: its records are of another kind (masks, next sentence labels) than {files[0]}")
        facts = found
    if facts is None:
        raise InputError("no file of pre-training records is given")
    return facts


def _facts_of_file(name: str) -> RecordKind:
    with naming_damaged_files([name]):
        for serialized in tf.data.TFRecordDataset(name, compression_type(name)).take(1):
            try:
                present = set(examples.decode_example(serialized.numpy()))
            except ValueError:
                raise InputError(f"{name}: record 0 is no tf.train.Example; {_WHAT_WOULD_BE_RIGHT}") from None
            missing = sorted(set(examples.INPUT_FEATURES) - present)
            if missing:
                raise InputError(f"{name}: record 0 has no {missing[0]!r}; {_WHAT_WOULD_BE_RIGHT}")
            return RecordKind(
                masked=present.issuperset(examples.MASK_FEATURES),
                next_sentence=examples.NEXT_SENTENCE_FEATURE in present,
            )
    # TensorFlow takes a few bytes that are no record for the end of the file.
    count_records(name)
    raise InputError(f"{name}: holds no record; {_WHAT_WOULD_BE_RIGHT}")


def compression_type(name: str) -> str:
    """Returns 'GZIP' or '' by the first bytes of a file, as `tf.data.TFRecordDataset` takes it."""
    with open_input(name) as file:
        return "GZIP" if file.read(3) == b"\x1f\x8b\x08" else ""


def count_records(name: str) -> int:
    """Returns the number of records of a file; reads only their lengths where it is not compressed.

    Raises:
      InputError: the file ends within a record, or is no TFRecord file.
    """
    return sum(1 for _ in _record_lengths(name))


def _record_lengths(name: str) -> Iterator[int]:
    if compression_type(name):
        with open_input(name) as raw, gzip.open(raw, "rb") as file:
            yield from _walk(name, file, None)
    else:
        with open_input(name) as file:
            yield from _walk(name, file, file_size(name))


def _walk(name: str, file: BinaryIO | gzip.GzipFile, size: int | None) -> Iterator[int]:
    position = index = 0
    try:
        while header := file.read(_HEADER_BYTES):
            length = struct.unpack("<Q", header[:8])[0] if len(header) == _HEADER_BYTES else 0
            following = length + _FOOTER_BYTES
            complete = len(header) == _HEADER_BYTES and length < 2**31
            if complete and size is None:
                complete = len(file.read(following)) == following
            elif complete:
                complete = position + _HEADER_BYTES + following <= (size or 0)
                file.seek(position + _HEADER_BYTES + following)
            if not complete:
                raise InputError(
                    f"{name}: record {index} is damaged or cut off, at byte {position}; make the file again"
                )
            yield length
            position += _HEADER_BYTES + following
            index += 1
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise InputError(f"{name}: record {index}: the gzip stream is damaged or cut off") from None


@contextmanager
def naming_damaged_files(files: Sequence[str]) -> Iterator[None]:
    """Turns TensorFlow's errors about damaged or foreign records into an `InputError` that names file and
    record.

    Put it around everything that draws from `pretraining_dataset`.
    """
    try:
        yield
    # Where TensorFlow's message would quote bytes of a record, Python fails to read the message.
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, UnicodeDecodeError) as error:
        named = find_damaged_record(files)
        if named is None:
            raise
        raise named from error


def find_damaged_record(files: Sequence[str]) -> InputError | None:
    """Reads all of `files` and returns the error to raise for the first damaged record, if there is one."""
    for name in files:
        index = 0
        try:
            for _ in _record_lengths(name):
                pass
            for serialized in tf.data.TFRecordDataset(name, compression_type(name)):
                examples.decode_example(serialized.numpy())
                index += 1
        except InputError as error:
            return error
        except tf.errors.DataLossError:
            return InputError(
                f"{name}: record {index}, at byte {_position(name, index)}, is damaged (its checksum does not fit); "
                "make the file again"
            )
        except ValueError:
            return InputError(
                f"{name}: record {index}, at byte {_position(name, index)}, is no tf.train.Example; "
                f"{_WHAT_WOULD_BE_RIGHT}"
            )
    return None


def _position(name: str, index: int) -> int:
    """Returns at which byte of a file, of the unpacked stream where it is compressed, a record begins."""
    lengths = itertools.islice(_record_lengths(name), index)
    return sum(_HEADER_BYTES + length + _FOOTER_BYTES for length in lengths)
