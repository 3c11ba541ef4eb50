"""Creates pre-training data on one machine.

There are two passes, both with bounded memory. First, workers create the records of each unit and write them to a spill
file. Then the spill files are merged into shuffled shards (see `spill`). The files do not depend on the number of
workers.

Unfinished work is kept for `--resume` in a hidden directory next to the output or, if the output is remote, in this
machine's temporary directory. At the end, all shards are moved into place together.
"""

import collections
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf
from tqdm import tqdm

from ambert_tf.corpus.documents import Unit, plan_units, usable_cores
from ambert_tf.corpus.sources import source_size
from ambert_tf.errors import InputError
from ambert_tf.files import is_remote
from ambert_tf.outputs import atomic_path, check_writable, make_directory
from ambert_tf.pretraining_data.creation_settings import CreationSettings
from ambert_tf.pretraining_data.output import log_examples, refuse_other_records, write_json
from ambert_tf.pretraining_data.record_maker import RecordMaker
from ambert_tf.pretraining_data.spill import (
    ALL_NUMBERS,
    MERGE_FILES,
    SpillFile,
    merge_spills,
    merged_buckets,
    write_spill,
)
from ambert_tf.pretraining_data.stats import STATS_FILE, make_stats, run_identity
from ambert_tf.pretraining_data.tokenizer_copy import check_copy, write_copy
from ambert_tf.pretraining_data.workers import Runner, task_runner
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

# A running worker tokenizes about this many bytes in the seconds that another one takes to start.
_BYTES_WORTH_A_WORKER = 8 << 20


def create_on_this_machine(settings: CreationSettings, input_files: Sequence[str]) -> dict[str, Any]:
    """Writes the records of a corpus; see `create_pretraining_data`.

    Args:
      settings: settings of data creation.
      input_files: names of the sources.
    """
    tokenizer = MultiGrainedTokenizer.load(settings.tokenizer_dir)
    run = _Run(settings, input_files, tokenizer)
    try:
        run.prepare()
        return run.make()
    except BaseException:
        if not settings.resume:
            run.clean_up()
        raise


class _Run:
    def __init__(self, settings: CreationSettings, input_files: Sequence[str], tokenizer: MultiGrainedTokenizer):
        self._settings = settings
        self._input_files = input_files
        self._tokenizer = tokenizer
        self._identity = run_identity(settings, input_files, tokenizer.fingerprint)
        output = settings.output_file
        self._directory, name = os.path.split(output if is_remote(output) else os.path.abspath(output))
        if is_remote(output):
            name = hashlib.sha256(output.encode()).hexdigest()[:16]
            self._work = os.path.join(tempfile.gettempdir(), f"ambert-{name}.unfinished")
        else:
            self._work = os.path.join(self._directory, f".{name}.unfinished")
        self._spill_list = os.path.join(self._work, "spills.json")

    def prepare(self) -> None:
        """Creates the directory for unfinished work, or reuses that of an interrupted run."""
        output = self._settings.output_file
        check_writable(self._directory, "output_file")
        make_directory(self._directory)
        refuse_other_records(self._settings)
        check_copy(output, self._tokenizer)
        identity_file = os.path.join(self._work, "identity.json")
        if not self._settings.resume:
            self.clean_up()
        if os.path.exists(identity_file):
            self._compare_identity(identity_file)
        else:
            self.clean_up()
            make_directory(self._work)
            with atomic_path(identity_file) as temporary, open(temporary, "w") as file:
                json.dump(self._identity, file)

    def _compare_identity(self, identity_file: str) -> None:
        with open(identity_file) as file:
            found = json.load(file)
        for key in {**found, **self._identity}:
            if found.get(key) != self._identity.get(key):
                raise InputError(
                    f"--resume: the interrupted run had {key}={found.get(key)}, but this one has "
                    f"{self._identity.get(key)}; use the same value, or start over without --resume"
                )

    def clean_up(self) -> None:
        """Removes unfinished work."""
        shutil.rmtree(self._work, ignore_errors=True)

    def make(self) -> dict[str, Any]:
        """Creates the files and moves them into place."""
        total = sum(map(source_size, self._input_files))
        workers = self._settings.num_workers
        if workers is None:
            workers = max(1, min(usable_cores(), total // _BYTES_WORTH_A_WORKER))
        # A tokenizer cannot be pickled; each worker loads its own.
        tokenizer = self._tokenizer if workers == 1 else None
        with task_runner(workers, _start, (self._settings, tokenizer)) as run:
            spills, counts = self._make_spills(run, total)
            if not counts.get("sequences"):
                raise InputError(f"{self._settings.corpus_flag}: contains no usable document")
            spills = self._merge_groups(run, spills, counts)
            self._make_shards(run, spills, counts["sequences"])
        names = self._settings.shard_names()
        sizes = {name: os.path.getsize(self._shard_path(shard)) for shard, name in enumerate(names)}
        stats = make_stats(self._settings, self._input_files, self._tokenizer.fingerprint, counts, sizes)
        self._publish(stats)
        log_examples(self._settings, self._tokenizer)
        return stats

    def _make_spills(self, run: Runner, total: int) -> tuple[list[str], dict[str, int]]:
        """Writes a spill file for each unit. Returns their paths, in the order of units, and the summed counts."""
        if os.path.exists(self._spill_list):
            with open(self._spill_list) as file:
                known = json.load(file)
            return [os.path.join(self._work, name) for name in known["spills"]], known["counts"]
        names: list[str] = []
        counts: collections.Counter[str] = collections.Counter()
        with _progress("tokenizing", total, "B") as progress:

            def tasks() -> Iterator[tuple[Unit, str]]:
                for unit in plan_units(self._input_files):
                    names.append(f"unit-{unit.file:06d}-{unit.window:08d}")
                    path = os.path.join(self._work, names[-1])
                    if os.path.exists(path):
                        counts.update(SpillFile(path).counts)
                        progress.update(unit.size_bytes)
                    else:
                        yield unit, path

            for size_bytes, unit_counts in run(_make_spill, tasks()):
                counts.update(unit_counts)
                progress.update(size_bytes)
        return self._list_spills(names, counts), dict(counts)

    def _list_spills(self, names: list[str], counts: dict[str, int]) -> list[str]:
        """Writes the list of complete spill files, for `--resume`, and returns their paths."""
        with atomic_path(self._spill_list) as temporary, open(temporary, "w") as file:
            json.dump({"spills": names, "counts": counts}, file)
        return [os.path.join(self._work, name) for name in names]

    def _merge_groups(self, run: Runner, spills: list[str], counts: dict[str, int]) -> list[str]:
        """Merges spill files until there are few enough to create the shards."""
        while len(spills) > MERGE_FILES:
            groups = [spills[first : first + MERGE_FILES] for first in range(0, len(spills), MERGE_FILES)]
            # The number of groups distinguishes the levels of merging.
            names = [f"merged-{len(groups)}-{number:08d}" for number in range(len(groups))]
            paths = [os.path.join(self._work, name) for name in names]
            tasks = [task for task in zip(groups, paths, strict=True) if not os.path.exists(task[1])]
            with _progress("merging", len(tasks), " groups") as progress:
                for _ in run(merge_spills, tasks):
                    progress.update()
            merged = self._list_spills(names, counts)
            for path in spills:
                os.remove(path)
            spills = merged
        return spills

    def _make_shards(self, run: Runner, spills: list[str], sequences: int) -> None:
        tasks = []
        for shard in range(self._settings.num_shards):
            low, high = (ALL_NUMBERS * number // self._settings.num_shards for number in (shard, shard + 1))
            path = self._shard_path(shard)
            if not os.path.exists(path):
                tasks.append((spills, low, high, path, self._settings.compression))
        with _progress("shuffling", sequences, " records") as progress:
            for records in run(_write_shard, tasks):
                progress.update(records)

    def _shard_path(self, shard: int) -> str:
        return os.path.join(self._work, f"shard-{shard:05d}")

    def _publish(self, stats: dict[str, Any]) -> None:
        write_copy(self._settings.output_file, self._tokenizer)
        for shard, name in enumerate(self._settings.shard_names()):
            with atomic_path(name) as temporary:
                shutil.move(self._shard_path(shard), temporary)
        write_json(stats, os.path.join(self._directory, STATS_FILE))
        self.clean_up()


def _progress(description: str, total: int, unit: str) -> tqdm:
    # Without a terminal, one line every 30 seconds.
    interval = 0.5 if sys.stderr.isatty() else 30.0
    return tqdm(desc=description, total=total, unit=unit, unit_scale=True, mininterval=interval)


# The functions below run in the workers.

_maker: RecordMaker | None = None


def _start(settings: CreationSettings, tokenizer: MultiGrainedTokenizer | None) -> None:
    global _maker
    _maker = RecordMaker.for_settings(settings, tokenizer or MultiGrainedTokenizer.load(settings.tokenizer_dir))


def _make_spill(unit: Unit, path: str) -> tuple[int, dict[str, int]]:
    assert _maker is not None
    records = _maker(unit)
    write_spill(path, records)
    return unit.size_bytes, records.counts


def _write_shard(spills: list[str], low: int, high: int, path: str, compression: str) -> int:
    """Writes the records with numbers from `low` to `high` (exclusive) and returns their count."""
    written = 0
    files = [SpillFile(name) for name in spills]
    with (
        atomic_path(path) as temporary,
        tf.io.TFRecordWriter(temporary, "GZIP" if compression == "gzip" else None) as writer,
    ):
        for _, records in merged_buckets(files, low, high):
            for record in records:
                writer.write(bytes(record))
            written += len(records)
    return written
