"""Shuffles records on disk by writing and merging sorted spill files.

Each record has a random 64-bit number, and sorting by it shuffles all records of a corpus. A spill file contains some
of the records in this order. A shard is a range of numbers, merged from all spill files. Only one bucket of records is
in memory at a time.

A spill file consists of the records, zero padding to a multiple of 8 bytes, the records' numbers (uint64), the offsets
of their ends (uint64), the counts (JSON), and a footer: the number of records, the length of the JSON (both uint64),
and a magic number.
"""

import collections
import json
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import IO

import numpy as np

from ambert_tf.outputs import atomic_path
from ambert_tf.pretraining_data.record_maker import UnitRecords

# Exclusive upper bound of the numbers.
ALL_NUMBERS = 2**64
# Approximate size of a bucket in which records are sorted.
BUCKET_BYTES = 24 << 20
# If there are more spill files than this, they are first merged in groups, so that buckets are not read in tiny pieces.
MERGE_FILES = 128

_MAGIC = b"ambertS1"
_FOOTER = struct.Struct("<QQ8s")


class SpillFile:
    """Reads a spill file."""

    def __init__(self, path: str):
        self.path = path
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            file.seek(size - _FOOTER.size)
            self.num_records, json_bytes, magic = _FOOTER.unpack(file.read())
            if magic != _MAGIC:
                raise ValueError(f"{path} is not a spill file")
            file.seek(size - _FOOTER.size - json_bytes)
            self.counts: dict[str, int] = json.loads(file.read(json_bytes))
        index_start = size - _FOOTER.size - json_bytes - 16 * self.num_records
        self._order = self._array(index_start)
        self._ends = self._array(index_start + 8 * self.num_records)

    def _array(self, offset: int) -> np.ndarray:
        if not self.num_records:
            return np.zeros(0, np.uint64)
        # Memory-mapped, because only some of the pages are needed.
        return np.memmap(self.path, "<u8", "r", offset, (self.num_records,))

    def range(self, low: int, high: int) -> tuple[int, int]:
        """Returns the range of indices of the records with numbers from `low` to `high` (exclusive)."""
        first, last = (
            self.num_records if number == ALL_NUMBERS else int(np.searchsorted(self._order, np.uint64(number)))
            for number in (low, high)
        )
        return first, last

    def offset(self, index: int) -> int:
        """Returns the byte offset of record `index`."""
        return int(self._ends[index - 1]) if index else 0

    def read(self, first: int, last: int) -> tuple[np.ndarray, bytes, np.ndarray]:
        """Returns the numbers of records `first` to `last`, their bytes, and their byte bounds [records + 1]."""
        start = self.offset(first)
        offsets = np.empty(last - first + 1, np.int64)
        offsets[0] = 0
        offsets[1:] = self._ends[first:last].astype(np.int64) - start
        with open(self.path, "rb") as file:
            file.seek(start)
            data = file.read(int(offsets[-1]))
        return np.array(self._order[first:last]), data, offsets


def write_spill(path: str, unit: UnitRecords) -> None:
    """Atomically writes the records of a unit as a spill file."""
    order = np.argsort(unit.order, kind="stable")
    records = [unit.records[index] for index in order.tolist()]
    ends = np.cumsum(np.fromiter(map(len, records), np.uint64, len(records)), dtype=np.uint64)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.writelines(records)
        file.write(_padding(file))
        file.write(unit.order[order].astype("<u8").tobytes())
        file.write(ends.astype("<u8").tobytes())
        _write_footer(file, len(records), unit.counts)


def _padding(file: IO[bytes]) -> bytes:
    # An unaligned memory-mapped array would be copied on each access.
    return bytes(-file.tell() % 8)


def _write_footer(file: IO[bytes], num_records: int, counts: dict[str, int]) -> None:
    encoded = json.dumps(counts).encode()
    file.write(encoded)
    file.write(_FOOTER.pack(num_records, len(encoded), _MAGIC))


def merge_spills(paths: Sequence[str], merged: str) -> None:
    """Merges spill files into one."""
    spills = [SpillFile(path) for path in paths]
    with (
        atomic_path(merged) as path,
        open(path, "wb") as data,
        _unnamed(path) as orders,
        _unnamed(path) as ends,
    ):
        end = 0
        for order, records in merged_buckets(spills, 0, ALL_NUMBERS):
            data.writelines(records)
            orders.write(order.astype("<u8").tobytes())
            lengths = np.fromiter(map(len, records), np.uint64, len(records))
            bucket_ends = np.cumsum(lengths, dtype=np.uint64) + np.uint64(end)
            ends.write(bucket_ends.astype("<u8").tobytes())
            end += int(lengths.sum())
        data.write(_padding(data))
        for index in (orders, ends):
            index.seek(0)
            shutil.copyfileobj(index, data, 1 << 20)
        counts: collections.Counter[str] = collections.Counter()
        for spill in spills:
            counts.update(spill.counts)
        _write_footer(data, sum(spill.num_records for spill in spills), dict(counts))


def _unnamed(path: str) -> IO[bytes]:
    return tempfile.TemporaryFile(dir=os.path.dirname(path))


def merged_buckets(spills: Sequence[SpillFile], low: int, high: int) -> Iterator[tuple[np.ndarray, list[memoryview]]]:
    """Yields the records with numbers from `low` to `high` (exclusive), in order, bucket by bucket.

    Records with equal numbers are in the order of `spills`.

    Yields:
      The numbers (uint64) and the records of a bucket.
    """
    total = 0
    for spill in spills:
        first, last = spill.range(low, high)
        total += spill.offset(last) - spill.offset(first)
    buckets = max(1, -(-total // BUCKET_BYTES))
    bounds = [low + (high - low) * bucket // buckets for bucket in range(buckets + 1)]
    for bucket_low, bucket_high in pairwise(bounds):
        orders: list[np.ndarray] = []
        records: list[memoryview] = []
        for spill in spills:
            order, data, offsets = spill.read(*spill.range(bucket_low, bucket_high))
            view = memoryview(data)
            orders.append(order)
            records.extend(view[start:end] for start, end in pairwise(offsets.tolist()))
        order = np.concatenate(orders)
        permutation = np.argsort(order, kind="stable")
        yield order[permutation], [records[index] for index in permutation.tolist()]
