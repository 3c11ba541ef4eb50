"""Creating pre-training data on one machine.

Two passes, memory bounded in both: workers make the records of each unit and write them to a spill file; then
the spill files are merged into shuffled shards (see `spill`). Which process does what makes no difference to
the files.

Everything unfinished stands in a hidden directory beside the output, which `--resume` goes on with; the
shards are moved into place together at the end.
"""

import collections
import errno
import json
import os
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from tqdm import tqdm

from ambert_tf.corpus.documents import Unit, plan_units
from ambert_tf.corpus.sources import flag_of, source_size
from ambert_tf.errors import InputError
from ambert_tf.files import atomic_path, make_directory
from ambert_tf.pretraining_data.options import CreateOptions
from ambert_tf.pretraining_data.output import log_examples, refuse_other_shards
from ambert_tf.pretraining_data.record_maker import RecordMaker
from ambert_tf.pretraining_data.spill import (
    ALL_NUMBERS,
    MERGE_FILES,
    SpillFile,
    merge_spills,
    merged_buckets,
    write_spill,
)
from ambert_tf.pretraining_data.stats import STATS_FILE, make_stats
from ambert_tf.pretraining_data.workers import Runner, task_runner
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

# A worker process takes some seconds to start, in which another one tokenizes this much.
_BYTES_WORTH_A_WORKER = 8 << 20


def create_pretraining_data(options: CreateOptions) -> dict[str, Any]:
    """Makes the records of a corpus: shards, and `stats.json` beside them.

    Returns:
      The content of `stats.json`.

    Raises:
      InputError: an option, an input file or the tokenizer is wrong, or the corpus holds nothing to use.
      OSError: the output cannot be written; nothing is left of it then, unless `resume` is given.
    """
    options.validate()
    tokenizer = MultiGrainedTokenizer.load(options.tokenizer_dir)
    run = _Run(options, tokenizer)
    try:
        run.prepare()
        return run.make()
    except Exception:
        if not options.resume:
            run.clean_up()
        raise


class _Run:
    def __init__(self, options: CreateOptions, tokenizer: MultiGrainedTokenizer):
        self._options = options
        self._tokenizer = tokenizer
        self._identity = options.identity(tokenizer.fingerprint)
        self._directory, self._name = os.path.split(os.path.abspath(options.output_file))
        self._work = os.path.join(self._directory, f".{self._name}.unfinished")
        self._spill_list = os.path.join(self._work, "spills.json")

    def prepare(self) -> None:
        """Makes the directory for what is unfinished, or finds it as an interrupted run left it."""
        make_directory(self._directory)
        if not os.access(self._directory, os.W_OK):
            raise InputError(f"--output_file={self._options.output_file}: {self._directory} is not writable")
        refuse_other_shards(self._options, os.listdir(self._directory))
        identity_file = os.path.join(self._work, "identity.json")
        if not self._options.resume:
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
                    f"--resume: the interrupted run had {key}={found.get(key)}, this one has "
                    f"{self._identity.get(key)}; give what it had, or start anew without --resume"
                )

    def clean_up(self) -> None:
        """Removes whatever is unfinished."""
        shutil.rmtree(self._work, ignore_errors=True)

    def make(self) -> dict[str, Any]:
        """Makes the files and moves them into place."""
        total = sum(map(source_size, self._options.input_files))
        workers = self._options.num_workers
        if workers is None:
            workers = max(1, min(os.cpu_count() or 1, total // _BYTES_WORTH_A_WORKER))
        # A tokenizer does not go from one process to another; each worker loads its own.
        tokenizer = self._tokenizer if workers == 1 else None
        with task_runner(workers, _start, (self._options, tokenizer)) as run:
            spills, counts = self._make_spills(run, total)
            if not counts.get("sequences"):
                raise InputError(f"{flag_of(self._options.input_files[0])}: holds no document to use")
            spills = self._merge_groups(run, spills, counts)
            self._make_shards(run, spills, counts["sequences"])
        names = self._options.shard_names()
        sizes = {name: os.path.getsize(self._shard_path(shard)) for shard, name in enumerate(names)}
        stats = make_stats(self._options, self._tokenizer.fingerprint, counts, sizes)
        self._publish(stats)
        log_examples(self._options, self._tokenizer)
        return stats

    def _make_spills(self, run: Runner, total: int) -> tuple[list[str], dict[str, int]]:
        """Makes a spill file of each unit; returns their paths in the order of units, and summed counts."""
        if os.path.exists(self._spill_list):
            with open(self._spill_list) as file:
                known = json.load(file)
            return [os.path.join(self._work, name) for name in known["spills"]], known["counts"]
        names: list[str] = []
        counts: collections.Counter[str] = collections.Counter()
        with _progress("tokenizing", total, "B") as progress:

            def tasks() -> Iterator[tuple[Unit, str]]:
                for unit in plan_units(self._options.input_files):
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
        """Notes, for a run that goes on, which files hold everything; returns their paths."""
        with atomic_path(self._spill_list) as temporary, open(temporary, "w") as file:
            json.dump({"spills": names, "counts": counts}, file)
        return [os.path.join(self._work, name) for name in names]

    def _merge_groups(self, run: Runner, spills: list[str], counts: dict[str, int]) -> list[str]:
        """Merges spill files until they are few enough to make a shard from."""
        while len(spills) > MERGE_FILES:
            groups = [spills[first : first + MERGE_FILES] for first in range(0, len(spills), MERGE_FILES)]
            # The number of files tells levels apart.
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
        for shard in range(self._options.num_shards):
            low, high = (ALL_NUMBERS * number // self._options.num_shards for number in (shard, shard + 1))
            path = self._shard_path(shard)
            if not os.path.exists(path):
                tasks.append((spills, low, high, path, self._options.compression))
        with _progress("shuffling", sequences, " records") as progress:
            for records in run(_write_shard, tasks):
                progress.update(records)

    def _shard_path(self, shard: int) -> str:
        return os.path.join(self._work, f"shard-{shard:05d}")

    def _publish(self, stats: dict[str, Any]) -> None:
        for shard, name in enumerate(self._options.shard_names()):
            os.replace(self._shard_path(shard), name)
        stats_file = os.path.join(self._directory, STATS_FILE)
        with atomic_path(stats_file) as temporary, open(temporary, "w", encoding="utf-8") as file:
            json.dump(stats, file, indent=2, ensure_ascii=False)
            file.write("\n")
        self.clean_up()


def _progress(description: str, total: int, unit: str) -> tqdm:
    # Without a terminal, a line now and then.
    interval = 0.5 if sys.stderr.isatty() else 30.0
    return tqdm(desc=description, total=total, unit=unit, unit_scale=True, mininterval=interval)


# What follows runs in the workers.

_maker: RecordMaker | None = None


def _start(options: CreateOptions, tokenizer: MultiGrainedTokenizer | None) -> None:
    global _maker
    _maker = options.record_maker(tokenizer or MultiGrainedTokenizer.load(options.tokenizer_dir))


def _make_spill(unit: Unit, path: str) -> tuple[int, dict[str, int]]:
    assert _maker is not None
    records = _maker(unit)
    write_spill(path, records)
    return unit.size_bytes, records.counts


def _write_shard(spills: list[str], low: int, high: int, path: str, compression: str) -> int:
    """Writes the records whose numbers lie from `low` to `high`; returns how many."""
    written = 0
    files = [SpillFile(name) for name in spills]
    with atomic_path(path) as temporary:
        try:
            with tf.io.TFRecordWriter(temporary, "GZIP" if compression == "gzip" else None) as writer:
                for _, records in merged_buckets(files, low, high):
                    for record in records:
                        writer.write(bytes(record))
                    written += len(records)
        except tf.errors.OpError as error:
            full = isinstance(error, tf.errors.ResourceExhaustedError) or "No space" in error.message
            number = errno.ENOSPC if full else errno.EIO
            raise OSError(number, os.strerror(number), temporary) from None
    return written
