"""Creates pre-training data as an Apache Beam pipeline, on one machine or a cluster.

The records of a unit are created by the same function as in the local runner, and each record has a random number that
determines its position in the shuffled output. The range of numbers is divided into parts, one or more per shard. Each
part is sorted and written to a file, and a shard is the concatenation of its parts. The shards are therefore identical
to those of the local runner, byte for byte, whatever the order in which Beam's workers run.

Input and output may be on any file system that TensorFlow supports and all workers can access. Unfinished work and a
copy of the tokenizer are kept in a hidden directory next to the output, which is removed when the pipeline ends.
"""

import collections
import json
import logging
import os
import re
import struct
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.utils.shared import Shared

from ambert_tf.corpus.documents import Unit, divide, plan_without_reading
from ambert_tf.corpus.sources import source_size
from ambert_tf.errors import InputError
from ambert_tf.outputs import check_writable, make_directory
from ambert_tf.pretraining_data.creation_settings import CreationSettings
from ambert_tf.pretraining_data.output import log_examples, refuse_other_records, write_json
from ambert_tf.pretraining_data.record_maker import RecordMaker, UnitRecords
from ambert_tf.pretraining_data.spill import ALL_NUMBERS
from ambert_tf.pretraining_data.stats import STATS_FILE, make_stats
from ambert_tf.pretraining_data.tokenizer_copy import check_copy, write_copy
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

# A part is sorted in memory. Its size is estimated from the corpus: each pass creates about this many bytes of records
# per byte of text.
_PART_BYTES = 64 << 20
_RECORD_BYTES_PER_TEXT_BYTE = 4

_TOKENIZER = "tokenizer"

# A unit's records in one part: the unit's file and window, followed by, as bytes, the records' numbers (uint64,
# ascending), the offsets of their ends (uint64), and the records.
Piece = tuple[int, int, bytes, bytes, bytes]


def create_with_beam(
    settings: CreationSettings, input_files: Sequence[str], beam_options: Sequence[str]
) -> dict[str, Any]:
    """Writes the records of a corpus; see `create_pretraining_data`.

    Args:
      settings: settings of data creation. `num_workers` and `resume` only apply to the local runner.
      input_files: names of the sources.
      beam_options: pipeline options, such as `--runner=FlinkRunner`.
    """
    tokenizer = MultiGrainedTokenizer.load(settings.tokenizer_dir)
    directory, name = os.path.split(settings.output_file)
    check_writable(directory, "output_file")
    refuse_other_records(settings)
    check_copy(settings.output_file, tokenizer)
    work = os.path.join(directory, f".{name}.unfinished-beam")
    with _directory(work):
        tokenizer.save(os.path.join(work, _TOKENIZER))
        _run_pipeline(settings, input_files, beam_options, work)
        with tf.io.gfile.GFile(os.path.join(work, STATS_FILE)) as file:
            counts = json.load(file)
        if not counts.get("sequences"):
            raise InputError(f"{settings.corpus_flag}: contains no usable document")
        write_copy(settings.output_file, tokenizer)
        for shard, path in enumerate(settings.shard_names()):
            tf.io.gfile.rename(_shard_path(work, shard), path, overwrite=True)
        sizes = {path: tf.io.gfile.stat(path).length for path in settings.shard_names()}
        stats = make_stats(settings, input_files, tokenizer.fingerprint, counts, sizes)
        write_json(stats, os.path.join(directory, STATS_FILE))
    log_examples(settings, tokenizer)
    return stats


def _run_pipeline(
    settings: CreationSettings, input_files: Sequence[str], beam_options: Sequence[str], work: str
) -> None:
    try:
        pipeline = beam.Pipeline(options=PipelineOptions(list(beam_options)))
    except (ValueError, ImportError) as error:
        raise InputError(f"--beam_options={','.join(beam_options)}: {error}") from None
    # Beam would not only raise a user's error but also log it with a traceback.
    log = logging.getLogger("apache_beam.runners.common")
    log.addFilter(_is_not_input_error)
    try:
        with pipeline:
            _build(pipeline, settings, input_files, work)
    except Exception as error:
        # A worker's error arrives unchanged, or as text between a traceback and the name of the step.
        text = f"{InputError.__name__}: {error}" if isinstance(error, InputError) else f"{error!r}\n{error}"
        found = re.search(r"\bInputError: (.*?)(?: \[while running|\\n|\n|$)", text)
        if found is None:
            raise
        raise InputError(found[1]) from error
    finally:
        log.removeFilter(_is_not_input_error)


def _is_not_input_error(record: logging.LogRecord) -> bool:
    return record.exc_info is None or not isinstance(record.exc_info[1], InputError)


def _build(pipeline: beam.Pipeline, settings: CreationSettings, input_files: Sequence[str], work: str) -> None:
    shards = settings.num_shards
    parts = shards * _parts_per_shard(settings, input_files)
    made = (
        pipeline
        # All files as one element, and without reading them, because the pipeline's description must stay small.
        | "List files" >> beam.Create([tuple(input_files)])
        | "Plan units" >> beam.FlatMap(plan_without_reading)
        | "Spread files" >> beam.Reshuffle()
        | "Divide streams" >> beam.FlatMap(divide)
        | "Spread units" >> beam.Reshuffle()
        | "Make records"
        >> beam.ParDo(_MakeRecords(settings, parts, work)).with_outputs(_MakeRecords.COUNTS, main="pieces")
    )
    # Every part is written, even if it has no records.
    every_part = pipeline | "List parts" >> beam.Create([(part, None) for part in range(parts)])
    _ = (
        (made.pieces, every_part)
        | "With all parts" >> beam.Flatten()
        | "Group by part" >> beam.GroupByKey()
        | "Write parts" >> beam.Map(_write_part, work=work)
        | "With their shard" >> beam.Map(lambda part: (part * shards // parts, part))
        | "Group by shard" >> beam.GroupByKey()
        | "Write shards" >> beam.Map(_write_shard, work=work, compression=settings.compression)
    )
    _ = (
        made[_MakeRecords.COUNTS]
        | "Add counts" >> beam.CombineGlobally(_add_counts)
        | "Write counts" >> beam.Map(write_json, path=os.path.join(work, STATS_FILE))
    )


def _parts_per_shard(settings: CreationSettings, input_files: Sequence[str]) -> int:
    text = sum(map(source_size, input_files))
    records = text * _RECORD_BYTES_PER_TEXT_BYTE * settings.effective_dupe_factor
    return max(1, -(-records // (_PART_BYTES * settings.num_shards)))


class _MakeRecords(beam.DoFn):
    """Creates the records of a unit. Emits (part, piece), and the counts as a side output.

    Args:
      settings: settings of data creation.
      parts: total number of parts of all shards.
      work: directory with the copy of the tokenizer.
    """

    COUNTS = "counts"

    def __init__(self, settings: CreationSettings, parts: int, work: str):
        self._settings = settings
        self._parts = parts
        self._work = work
        # One record maker per process, shared by its threads.
        self._shared = Shared()

    def setup(self):
        self._maker = self._shared.acquire(self._record_maker)

    def _record_maker(self) -> RecordMaker:
        with tempfile.TemporaryDirectory() as directory:
            _copy_files(os.path.join(self._work, _TOKENIZER), directory)
            return RecordMaker.for_settings(self._settings, MultiGrainedTokenizer.load(directory))

    def process(self, unit: Unit):
        records = self._maker(unit)
        yield from _pieces(unit, records, self._parts)
        yield beam.pvalue.TaggedOutput(self.COUNTS, records.counts)


def _pieces(unit: Unit, records: UnitRecords, parts: int) -> Iterator[tuple[int, Piece]]:
    """Splits the records of a unit by part."""
    permutation = np.argsort(records.order, kind="stable")
    order = records.order[permutation]
    bounds = np.array([ALL_NUMBERS * part // parts for part in range(1, parts)], np.uint64)
    splits = [0, *np.searchsorted(order, bounds).tolist(), len(order)]
    for part in np.flatnonzero(np.diff(splits)).tolist():
        here = slice(splits[part], splits[part + 1])
        chosen = [records.records[index] for index in permutation[here].tolist()]
        ends = np.cumsum([len(record) for record in chosen]).astype(np.uint64)
        yield part, (unit.file, unit.window, order[here].tobytes(), ends.tobytes(), b"".join(chosen))


def _write_part(grouped: tuple[int, Iterable[Piece | None]], work: str) -> int:
    """Writes the records of a part, sorted by number and, for equal numbers, by unit. Returns the part's index."""
    part, pieces = grouped
    found = sorted((piece for piece in pieces if piece is not None), key=lambda piece: piece[:2])
    order = np.concatenate([np.zeros(0, np.uint64), *(np.frombuffer(piece[2], np.uint64) for piece in found)])
    records: list[memoryview] = []
    for _, _, _, ends, data in found:
        bounds = [0, *np.frombuffer(ends, np.uint64).tolist()]
        records += [memoryview(data)[start:end] for start, end in pairwise(bounds)]
    with _written_as_a_whole(_part_path(work, part)) as path, tf.io.TFRecordWriter(path) as writer:
        for index in np.argsort(order, kind="stable").tolist():
            writer.write(bytes(records[index]))
    return part


def _write_shard(grouped: tuple[int, Iterable[int]], work: str, compression: str) -> None:
    """Writes a shard from its parts, which are kept in case a worker has to retry."""
    shard, parts = grouped
    gzip = "GZIP" if compression == "gzip" else None
    with _written_as_a_whole(_shard_path(work, shard)) as path, tf.io.TFRecordWriter(path, gzip) as writer:
        for part in sorted(parts):
            for record in _records(_part_path(work, part)):
                writer.write(record)


def _records(path: str) -> Iterator[bytes]:
    """Yields the records of a part. `tf.data` would be far slower for single records."""
    with tf.io.gfile.GFile(path, "rb") as file:
        content = file.read()
    start = 0
    while start < len(content):
        # TFRecord: the length, its checksum (4 bytes), the record, its checksum (4 bytes).
        (length,) = struct.unpack_from("<Q", content, start)
        yield content[start + 12 : start + 12 + length]
        start += length + 16


def _part_path(work: str, part: int) -> str:
    return os.path.join(work, f"part-{part:08d}")


def _shard_path(work: str, shard: int) -> str:
    return os.path.join(work, f"shard-{shard:05d}")


@contextmanager
def _written_as_a_whole(path: str) -> Iterator[str]:
    # Beam may run a task twice, even concurrently. Both runs write the same contents.
    temporary = f"{path}.{uuid.uuid4().hex}"
    yield temporary
    tf.io.gfile.rename(temporary, path, overwrite=True)


def _add_counts(counted: Iterable[dict[str, int]]) -> dict[str, int]:
    total: collections.Counter[str] = collections.Counter()
    for counts in counted:
        total.update(counts)
    return dict(total)


@contextmanager
def _directory(path: str) -> Iterator[None]:
    """Context manager that creates an empty directory and removes it at the end."""
    try:
        if tf.io.gfile.isdir(path):
            tf.io.gfile.rmtree(path)
        make_directory(path)
        yield
    finally:
        if tf.io.gfile.isdir(path):
            tf.io.gfile.rmtree(path)


def _copy_files(source: str, target: str) -> None:
    tf.io.gfile.makedirs(target)
    for name in tf.io.gfile.listdir(source):
        if not tf.io.gfile.isdir(os.path.join(source, name)):
            tf.io.gfile.copy(os.path.join(source, name), os.path.join(target, name), overwrite=True)
