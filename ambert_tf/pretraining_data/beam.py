"""Creating pre-training data as an Apache Beam pipeline, on one machine or a cluster: the local runner's files.

Each unit of the corpus is made into records by the same function as there. A record's random number tells its place
among all records: the numbers are divided into buckets, some of them to a shard; a bucket is sorted and written as a
part, and a shard is its parts in order. So the shards hold the same bytes as those of the local runner, whatever
Beam's workers do when.

Input and output may lie on any file system that TensorFlow knows, so long as all workers see it. Everything unfinished,
with a copy of the tokenizer, stands in a hidden directory beside the output; it is removed when the pipeline ends.
"""

import collections
import dataclasses
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
from ambert_tf.corpus.sources import flag_of, source_size
from ambert_tf.errors import InputError
from ambert_tf.files import is_remote, make_directory
from ambert_tf.pretraining_data.options import CreateOptions
from ambert_tf.pretraining_data.output import log_examples, refuse_other_shards
from ambert_tf.pretraining_data.record_maker import RecordMaker, UnitRecords
from ambert_tf.pretraining_data.spill import ALL_NUMBERS
from ambert_tf.pretraining_data.stats import STATS_FILE, make_stats
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

# A bucket is sorted in memory. How large it gets is estimated from the corpus: a pass makes about so many bytes of
# records from one of text.
_BUCKET_BYTES = 64 << 20
_RECORD_BYTES_PER_TEXT_BYTE = 4

_TOKENIZER = "tokenizer"

# A unit's records of one bucket: the unit's file and window, and as bytes the records' numbers (uint64, ascending),
# the offsets of their ends (uint64), and the records.
Piece = tuple[int, int, bytes, bytes, bytes]


def create_with_beam(options: CreateOptions, beam_options: Sequence[str]) -> dict[str, Any]:
    """Makes the records of a corpus: shards, and `stats.json` beside them, as `create_pretraining_data` does.

    Args:
      options: the options of data creation; `num_workers` and `resume` are the local runner's.
      beam_options: flags of the pipeline, such as `--runner=FlinkRunner`.

    Returns:
      The content of `stats.json`.

    Raises:
      InputError: an option, an input file or the tokenizer is wrong, or the corpus holds nothing to use.
    """
    options.validate()
    for flag, given in (("num_workers", options.num_workers is not None), ("resume", options.resume)):
        if given:
            raise InputError(f"--{flag}: is for --runner=local; Beam's own options go into --beam_options")
    tokenizer = MultiGrainedTokenizer.load(options.tokenizer_dir)
    directory, name = os.path.split(options.output_file)
    refuse_other_shards(options, _names(directory or "."))
    work = os.path.join(directory, f".{name}.unfinished-beam")
    with _directory(work):
        _copy_files(options.tokenizer_dir, os.path.join(work, _TOKENIZER))
        _run_pipeline(options, beam_options, work)
        with tf.io.gfile.GFile(os.path.join(work, STATS_FILE)) as file:
            counts = json.load(file)
        if not counts.get("sequences"):
            raise InputError(f"{flag_of(options.input_files[0])}: holds no document to use")
        for shard, path in enumerate(options.shard_names()):
            tf.io.gfile.rename(_shard_path(work, shard), path, overwrite=True)
        sizes = {path: tf.io.gfile.stat(path).length for path in options.shard_names()}
        stats = make_stats(options, tokenizer.fingerprint, counts, sizes)
        _write_json(stats, os.path.join(directory, STATS_FILE))
    log_examples(options, tokenizer)
    return stats


def _run_pipeline(options: CreateOptions, beam_options: Sequence[str], work: str) -> None:
    try:
        pipeline = beam.Pipeline(options=PipelineOptions(list(beam_options)))
    except (ValueError, ImportError) as error:
        raise InputError(f"--beam_options={','.join(beam_options)}: {error}") from None
    # Beam would print what the user gave wrong with a traceback, besides raising it.
    log = logging.getLogger("apache_beam.runners.common")
    log.addFilter(_is_no_input_error)
    try:
        with pipeline:
            _build(pipeline, options, work)
    except Exception as error:
        # A worker's error arrives as itself or as a text, with where it was raised before and what ran behind.
        text = f"{InputError.__name__}: {error}" if isinstance(error, InputError) else f"{error!r}\n{error}"
        found = re.search(r"\bInputError: (.*?)(?: \[while running|\\n|\n|$)", text)
        if found is None:
            raise
        raise InputError(found[1]) from error
    finally:
        log.removeFilter(_is_no_input_error)


def _is_no_input_error(record: logging.LogRecord) -> bool:
    return record.exc_info is None or not isinstance(record.exc_info[1], InputError)


def _build(pipeline: beam.Pipeline, options: CreateOptions, work: str) -> None:
    shards = options.num_shards
    parts = shards * _parts_per_shard(options)
    made = (
        pipeline
        # As one element, and without reading: a description of a pipeline must stay small.
        | "List files" >> beam.Create([options.input_files])
        | "Plan units" >> beam.FlatMap(plan_without_reading)
        | "Spread files" >> beam.Reshuffle()
        | "Divide streams" >> beam.FlatMap(divide)
        | "Spread units" >> beam.Reshuffle()
        | "Make records"
        >> beam.ParDo(_MakeRecords(options, parts, work)).with_outputs(_MakeRecords.COUNTS, main="pieces")
    )
    # Each part is written, one without records too.
    every_part = pipeline | "List parts" >> beam.Create([(part, None) for part in range(parts)])
    _ = (
        (made.pieces, every_part)
        | "With all parts" >> beam.Flatten()
        | "Group by part" >> beam.GroupByKey()
        | "Write parts" >> beam.Map(_write_part, work=work)
        | "With their shard" >> beam.Map(lambda part: (part * shards // parts, part))
        | "Group by shard" >> beam.GroupByKey()
        | "Write shards" >> beam.Map(_write_shard, work=work, compression=options.compression)
    )
    _ = (
        made[_MakeRecords.COUNTS]
        | "Add counts" >> beam.CombineGlobally(_add_counts)
        | "Write counts" >> beam.Map(_write_json, path=os.path.join(work, STATS_FILE))
    )


def _parts_per_shard(options: CreateOptions) -> int:
    text = sum(map(source_size, options.input_files))
    records = text * _RECORD_BYTES_PER_TEXT_BYTE * options.effective_dupe_factor
    return max(1, -(-records // (_BUCKET_BYTES * options.num_shards)))


class _MakeRecords(beam.DoFn):
    """Makes the records of a unit; emits (part, piece), and on the side what was counted.

    Args:
      options: of data creation.
      parts: their number, over all shards.
      work: where the tokenizer's copy is.
    """

    COUNTS = "counts"

    def __init__(self, options: CreateOptions, parts: int, work: str):
        self._options = dataclasses.replace(options, input_files=())
        self._parts = parts
        self._work = work
        # One in a process, whose threads share it.
        self._shared = Shared()

    def setup(self):
        self._maker = self._shared.acquire(self._record_maker)

    def _record_maker(self) -> RecordMaker:
        with tempfile.TemporaryDirectory() as directory:
            _copy_files(os.path.join(self._work, _TOKENIZER), directory)
            return self._options.record_maker(MultiGrainedTokenizer.load(directory))

    def process(self, unit: Unit):
        records = self._maker(unit)
        yield from _pieces(unit, records, self._parts)
        yield beam.pvalue.TaggedOutput(self.COUNTS, records.counts)


def _pieces(unit: Unit, records: UnitRecords, parts: int) -> Iterator[tuple[int, Piece]]:
    """Divides the records of a unit into the parts that they go to."""
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
    """Writes the records of a part, sorted by their numbers, equal ones in the order of units; returns its number."""
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
    """Writes a shard from its parts; these stay, for a worker that has to do it again."""
    shard, parts = grouped
    options = "GZIP" if compression == "gzip" else None
    with _written_as_a_whole(_shard_path(work, shard)) as path, tf.io.TFRecordWriter(path, options) as writer:
        for part in sorted(parts):
            for record in _records(_part_path(work, part)):
                writer.write(record)


def _records(path: str) -> Iterator[bytes]:
    """Yields the records of a part; `tf.data` takes longer by far for records one by one."""
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
    # Beam may do a task twice, even at once; what is written last is as good as what was written first.
    temporary = f"{path}.{uuid.uuid4().hex}"
    yield temporary
    tf.io.gfile.rename(temporary, path, overwrite=True)


def _add_counts(counted: Iterable[dict[str, int]]) -> dict[str, int]:
    total: collections.Counter[str] = collections.Counter()
    for counts in counted:
        total.update(counts)
    return dict(total)


def _write_json(content: dict[str, Any], path: str) -> None:
    with _written_as_a_whole(path) as temporary, tf.io.gfile.GFile(temporary, "w") as file:
        file.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def _directory(path: str) -> Iterator[None]:
    """Makes a directory, empty at first, and removes it at the end."""
    try:
        if tf.io.gfile.isdir(path):
            tf.io.gfile.rmtree(path)
        if is_remote(path):
            tf.io.gfile.makedirs(path)
        else:
            make_directory(path)
        yield
    finally:
        if tf.io.gfile.isdir(path):
            tf.io.gfile.rmtree(path)


def _names(directory: str) -> list[str]:
    return tf.io.gfile.listdir(directory) if tf.io.gfile.isdir(directory) else []


def _copy_files(source: str, target: str) -> None:
    tf.io.gfile.makedirs(target)
    for name in tf.io.gfile.listdir(source):
        if not tf.io.gfile.isdir(os.path.join(source, name)):
            tf.io.gfile.copy(os.path.join(source, name), os.path.join(target, name), overwrite=True)
