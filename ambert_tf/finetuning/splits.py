"""The splits of a task that a program reads, from files or TensorFlow Datasets."""

import dataclasses
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ambert_tf.errors import InputError
from ambert_tf.finetuning.fine_tuning_settings import FineTuningSettings
from ambert_tf.tasks.data_files import expected_files, file_records, find_data_dir, find_files, split_files
from ambert_tf.tasks.declaration import SPLITS, Task
from ambert_tf.tasks.json_lines import Record
from ambert_tf.tasks.tfds_source import has_split, tfds_records


@dataclasses.dataclass(frozen=True)
class Split:
    """The examples of a split.

    Attributes:
      name: `train`, `dev` or `test`.
      files: the paths, for messages.
      examples: `Example`s or, for spans, `SpanExample`s.
      counts: statistics for the results, such as the number of skipped examples.
    """

    name: str
    files: tuple[str, ...]
    examples: Sequence[Any]
    counts: Mapping[str, int]


class SplitReader:
    """Reads the records of the splits that a program needs.

    Args:
      task: declaration of the task.
      settings: the program's settings.

    Attributes:
      wanted: names of the splits to read.
      files: paths by split or, with `--data_source=tfds`, names of data sets.

    Raises:
      InputError: a file is missing.
    """

    def __init__(self, task: Task, settings: FineTuningSettings) -> None:
        self.task = task
        self.settings = settings
        do = {"train": settings.do_train, "dev": settings.do_eval, "test": settings.do_predict}
        names = {"train": settings.train_file, "dev": settings.eval_file, "test": settings.predict_file}
        self.wanted = [split for split in SPLITS if do[split]]
        self.from_tfds = settings.data_source == "tfds"
        self.files: dict[str, tuple[str, ...]] = {}
        for split in self.wanted:
            if self.from_tfds:
                self.files[split] = tuple(f"{name} {split}" for name in (task.tfds.names if task.tfds else ()))
            else:
                self.files[split] = split_files(task, settings.data_dir, split, names[split])

    def all_records(self, split: str) -> Iterator[Record]:
        """Yields all records of a split."""
        if self.from_tfds:
            return tfds_records(self.task, split, self.settings.tfds_data_dir)
        return file_records(self.task, self.files[split], split)

    def records(self, split: str) -> Iterator[Record]:
        """Yields the records of a split, at most `--max_examples` or `--max_eval_examples`."""
        limit = self.settings.max_examples
        if split != "train":
            limit = self.settings.max_eval_examples or limit
        return itertools.islice(self.all_records(split), limit or None)


def settings_for_task(task: Task, settings: FineTuningSettings) -> FineTuningSettings:
    """Fills in the task's defaults and the location of its data.

    Raises:
      InputError: `--data_dir` is missing and the data is not in the default location.
    """
    data_dir = settings.data_dir
    if settings.data_source == "tfds":
        return settings.for_task(task, data_dir, has_split(task, "test"))
    if not data_dir and not all(_named_files(settings)):
        data_dir = find_data_dir(task) or ""
        if not data_dir:
            place = os.environ.get("AMBERT_DATA") or "./data"
            raise InputError(
                f"--data_dir is needed: the directory with {expected_files(task)}; {place} has no such directory "
                f"({', '.join((*task.directories, task.name))})"
            )
    # Without a data directory, find_files would look in the current one.
    has_test = bool(settings.predict_file or (data_dir and find_files(task, data_dir, "test")))
    return settings.for_task(task, data_dir, has_test)


def _named_files(settings: FineTuningSettings) -> list[bool]:
    """Returns, for each split that must be read, whether a flag names its file."""
    files = (settings.train_file, settings.eval_file, settings.predict_file)
    wanted = (settings.do_train, settings.do_eval, settings.do_predict)
    if not any(wanted):
        wanted = (True, True, False)  # A file to predict is optional then.
    return [bool(name) for name, needed in zip(files, wanted, strict=True) if needed]
