"""Inspects TFRecord files, plain or gzip: their kind, their number of records, and damaged records.

A TFRecord is framed as length (uint64), its checksum (uint32), the record, and its checksum (uint32), little-endian.
"""

import dataclasses
import gzip
import itertools
import os
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.files import (
    check_input_file,
    exists,
    file_size,
    input_files,
    is_file,
    open_input,
    parse_json,
    read_bytes,
)
from ambert_tf.pretraining_data import examples
from ambert_tf.pretraining_data.stats import STATS_FILE

_HEADER_BYTES = 12
_FOOTER_BYTES = 4
# An empty gzip stream has about 20 bytes, and the framing of a record alone 16.
_MAX_EMPTY_BYTES = 64
_PARSING = re.compile(r"\b[Pp]ars(e|ing)\b")
_WHAT_WOULD_BE_RIGHT = "records from data/create_pretraining_data.py are expected"


@dataclasses.dataclass(frozen=True)
class RecordKind:
    """The optional features of the records of a data set.

    Attributes:
      masked: whether they have static masks.
      next_sentence: whether they have next sentence labels.
    """

    masked: bool
    next_sentence: bool


def record_files(pattern: str, flag: str) -> list[str]:
    """Returns the record files that match a pattern, without `stats.json` and shards that data creation left empty.

    If a corpus has fewer sequences than shards, some shards are empty. They are recognized by their sizes in
    `stats.json`. Any other file without records was truncated.

    Args:
      pattern: the user's pattern; see `input_files`.
      flag: the flag of the pattern, for error messages.

    Raises:
      InputError: part of the pattern matches no file, there are no records, or a file cannot be read or is empty.
    """
    found = input_files(pattern, flag, allow_empty=True)
    files = [name for name in found if os.path.basename(name) != STATS_FILE]
    if not files:
        raise InputError(
            f"--{flag}={pattern}: {STATS_FILE} describes records, but contains none; name the record files, such as "
            f"{os.path.join(os.path.dirname(found[0]), 'part-*')}"
        )
    filled = [name for name in files if not _is_empty_shard(name)]
    for name in filled or files:
        check_input_file(name, flag)
    return filled


def _is_empty_shard(name: str) -> bool:
    size = file_size(name) if is_file(name) else _MAX_EMPTY_BYTES + 1
    if size > _MAX_EMPTY_BYTES:
        return False
    directory, base = os.path.split(name)
    stats_file = os.path.join(directory, STATS_FILE)
    if not exists(stats_file):
        return False
    try:
        sizes = parse_json(read_bytes(stats_file)).get("files")
    except (ValueError, AttributeError):
        return False  # the reader of stats.json reports it
    return isinstance(sizes, dict) and sizes.get(base) == size and count_records(name) == 0


def record_kind(files: Sequence[str]) -> RecordKind:
    """Returns the kind of the records in `files`, determined from the first record of each file.

    Raises:
      InputError: the first record is damaged, missing or not a pre-training record, or the kinds of the files differ.
    """
    kind: RecordKind | None = None
    for name in files:
        found = _kind_of_file(name)
        if kind is not None and found != kind:
            raise InputError(f"{name}: its records and those of {files[0]} differ in masks or next sentence labels")
        kind = found
    if kind is None:
        raise InputError("no files with pre-training records were given")
    return kind


def _kind_of_file(name: str) -> RecordKind:
    with naming_damaged_files([name]):
        for serialized in tf.data.TFRecordDataset(name, compression_type(name)).take(1):
            try:
                present = set(examples.decode_example(serialized.numpy()))
            except ValueError:
                raise InputError(f"{name}: record 0 is not a tf.train.Example; {_WHAT_WOULD_BE_RIGHT}") from None
            missing = sorted(set(examples.INPUT_FEATURES) - present)
            if missing:
                raise InputError(f"{name}: record 0 has no {missing[0]!r}; {_WHAT_WOULD_BE_RIGHT}")
            return RecordKind(
                masked=present.issuperset(examples.MASK_FEATURES),
                next_sentence=examples.NEXT_SENTENCE_FEATURE in present,
            )
    # TensorFlow treats a few stray bytes as the end of the file.
    count_records(name)
    raise InputError(f"{name}: contains no record; {_WHAT_WOULD_BE_RIGHT}")


def compression_type(name: str) -> str:
    """Returns the compression type of a file, 'GZIP' or '', for `tf.data.TFRecordDataset`, from its first bytes."""
    with open_input(name) as file:
        return "GZIP" if file.read(3) == b"\x1f\x8b\x08" else ""


def count_records(name: str) -> int:
    """Returns the number of records in a file. In an uncompressed file, only their lengths are read.

    Raises:
      InputError: the file is truncated, or is not a TFRecord file.
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
                    f"{name}: record {index} is damaged or truncated, at byte {position}; recreate the file"
                )
            yield length
            position += _HEADER_BYTES + following
            index += 1
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise InputError(f"{name}: record {index}: the gzip stream is damaged or truncated") from None


@contextmanager
def naming_damaged_files(files: Sequence[str]) -> Iterator[None]:
    """Context manager that converts TensorFlow's errors about invalid records to an `InputError` with file and record.

    Use it around all code that iterates over `pretraining_dataset`.
    """
    try:
        yield
    # Python cannot decode a message in which TensorFlow quotes bytes of a record.
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, UnicodeDecodeError) as error:
        # Reading all records takes long, so not after errors that have another reason, such as a token id.
        if isinstance(error, tf.errors.InvalidArgumentError) and not _PARSING.search(error.message):
            raise
        named = find_damaged_record(files)
        if named is None:
            raise
        raise named from error


def find_damaged_record(files: Sequence[str]) -> InputError | None:
    """Reads all `files` and returns an error about the first damaged record, or None."""
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
                f"{name}: record {index}, at byte {_position(name, index)}, is damaged (wrong checksum); "
                "recreate the file"
            )
        except ValueError:
            return InputError(
                f"{name}: record {index}, at byte {_position(name, index)}, is not a tf.train.Example; "
                f"{_WHAT_WOULD_BE_RIGHT}"
            )
    return None


def _position(name: str, index: int) -> int:
    """Returns the byte offset of a record in the (uncompressed) file."""
    lengths = itertools.islice(_record_lengths(name), index)
    return sum(_HEADER_BYTES + length + _FOOTER_BYTES for length in lengths)
