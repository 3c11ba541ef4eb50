"""The labelled data of benchmarks/study.py: the training examples of a task, and samples of them."""

import json
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from places import Place

from ambert_tf.errors import InputError
from ambert_tf.models.task_config import CLASSIFICATION, SEQUENCE_LABELLING
from ambert_tf.outputs import atomic_path
from ambert_tf.tasks.data_files import file_records, split_files
from ambert_tf.tasks.declaration import FILE_FLAGS, Label, Task
from ambert_tf.tasks.json_lines import Record, text_lines
from ambert_tf.tasks.labels import LABELS_FILE, find_labels, labels_directory
from ambert_tf.tasks.registry import TASKS


class TrainingExamples(NamedTuple):
    """The training files of a task, the number of their records, and header and lines if each record is one line."""

    paths: Sequence[str]
    number: int
    header: str = ""
    lines: Sequence[str] = ()


def training_examples(paths: Sequence[str], records: Sequence[Record]) -> TrainingExamples:
    """Returns the training examples of a task.

    Args:
      paths: the training files, or directories with them.
      records: all records of the files.

    Raises:
      InputError: a file is empty or is not UTF-8.
    """
    whole = TrainingExamples(paths, len(records))
    headers, lines = set(), []
    for path in paths:
        numbers = {record.line for record in records if record.path == path and isinstance(record.line, int)}
        if os.path.isdir(path) or not numbers:
            return whole
        texts = [(number, text) for number, text in text_lines(path, FILE_FLAGS["train"]) if text.strip()]
        # Only these formats can be split at line ends: in columns, an empty line between sentences has a meaning.
        if not (path.endswith((".tsv", ".csv")) or texts[0][1].startswith("{")):
            return whole
        first = min(numbers)
        before = [text for number, text in texts if number < first]
        others = [text for number, text in texts if number > first and number not in numbers]
        found = [text for number, text in texts if number in numbers]
        if others and not _are_short_rows(others, before, found):
            return whole
        headers.add("".join(text + "\n" for text in before))
        lines += found
    if len(lines) != len(records) or len(headers) != 1:
        return whole
    return TrainingExamples(paths, len(records), headers.pop(), lines)


def _are_short_rows(others: Sequence[str], header: Sequence[str], rows: Sequence[str]) -> bool:
    """Returns whether lines without a record are rows with too few columns, which the reader of QQP skips."""
    tabs = header[-1].count("\t") if header else 0
    return all(row.count("\t") >= tabs for row in rows) and all(other.count("\t") < tabs for other in others)


class LabelledData:
    """The labelled data of a task, read once.

    Args:
      place: the task, and the place of its files.
      directory: directory for the samples, in a folder named after the task.

    Raises:
      InputError: a training or development file is missing, or a training file is invalid or empty.
    """

    def __init__(self, place: Place, directory: str) -> None:
        self.place = place
        task = TASKS[place.task]
        self.directory = os.path.join(directory, place.task)
        split_files(task, place.directory, "dev", place.dev)
        paths = split_files(task, place.directory, "train", place.train)
        records = list(file_records(task, paths, "train"))
        if not records:
            raise InputError(f"--tasks={place.task}: {' and '.join(paths)}: has no training examples")
        self.examples = training_examples(paths, records)
        self.labels = _labels(task, labels_directory(place.directory, paths), records)

    def budgets(self, wanted: Sequence[int]) -> list[int]:
        """Returns the label budgets for which the task has enough examples."""
        found = [labels for labels in wanted if labels <= self.examples.number]
        if len(found) < len(wanted):
            print(
                f"{self.place.task} has {self.examples.number:,} training examples; larger label budgets are left out "
                "(0 for all)"
            )
        return found

    def subset(self, labels: int, seed: int) -> tuple[str, int]:
        """Returns the training files of a label budget and seed, and the number of examples to use.

        If the files have one example per line, a sample is drawn, and the samples of a seed are nested. Other files are
        returned unchanged, and --max_examples reads the first examples, which are the same for all seeds. The labels of
        all examples are written next to the samples, because a sample may lack one.
        """
        paths, count, header, lines = self.examples
        if not lines or not labels or labels == count:
            return ",".join(paths), labels or count
        order = np.random.default_rng(seed).permutation(count)[:labels]
        name = f"{self.place.task}-{labels}-{seed}{os.path.splitext(paths[0])[1]}"
        if self.labels:
            content = [{"label": label.name, "label_desc": label.description} for label in self.labels]
            self._write(LABELS_FILE, json.dumps(content, ensure_ascii=False) + "\n")
        return self._write(name, header + "".join(lines[index] + "\n" for index in order)), labels

    def _write(self, name: str, text: str) -> str:
        os.makedirs(self.directory, exist_ok=True)
        path = os.path.join(self.directory, name)
        with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        return path


def _labels(task: Task, directory: str, records: Sequence[Record]) -> tuple[Label, ...]:
    """Returns the labels of a task, or none for other forms."""
    return find_labels(task, directory, records) if task.form in (CLASSIFICATION, SEQUENCE_LABELLING) else ()
