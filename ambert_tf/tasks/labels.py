"""The labels of a data set."""

import collections
import os
import re
from collections.abc import Iterable, Mapping, Sequence

from absl import logging

from ambert_tf.errors import InputError
from ambert_tf.files import exists, read_bytes
from ambert_tf.models.task_config import SEQUENCE_LABELLING
from ambert_tf.tasks.declaration import Label, Task
from ambert_tf.tasks.json_lines import Record, read_json, read_json_lines, shown
from ambert_tf.tasks.sequence_labelling_files import labels_of

LABELS_FILE = "labels.json"
# TNEWS and IFLYTEK use different keys for label descriptions.
DESCRIPTION_KEYS = ("label_desc", "label_des")
_ZERO_DECIMALS = re.compile(r"([+-]?\d+)\.0+")


def labels_directory(data_dir: str, train_files: Sequence[str]) -> str:
    """Returns the directory in which to look for `labels.json`: that of the training file if it is there."""
    beside = os.path.dirname(train_files[0]) or "."
    return beside if exists(os.path.join(beside, LABELS_FILE)) else data_dir


def find_labels(task: Task, data_dir: str, training_records: Iterable[Record] | None) -> tuple[Label, ...]:
    """Returns the labels from `labels.json` in the data directory, the task's declaration, or the training data.

    Args:
      task: declaration of the task.
      data_dir: data directory.
      training_records: the records to collect the labels from, sorted, if they are not listed anywhere.

    Raises:
      InputError: a file is invalid, or there are fewer than two labels; for sequence labelling, none.
    """
    path = os.path.join(data_dir, LABELS_FILE)
    if data_dir and exists(path):
        return read_labels(path, _least(task))
    if task.labels is not None:
        return task.labels
    if training_records is None:
        raise InputError(
            f"--data_dir={data_dir}: the labels of {task.name} are unknown; add a {LABELS_FILE} there, or name the "
            "training file with --train_file"
        )
    return _collected_labels(task, training_records)


def _collected_labels(task: Task, records: Iterable[Record]) -> tuple[Label, ...]:
    """Returns the labels of the training records. If both `1.0` and `1` occur, they are the same label."""
    counts: collections.Counter[str] = collections.Counter()
    where = "--train_file"
    if task.form == SEQUENCE_LABELLING:
        found = list(records)
        counts.update(labels_of(found))
        where, records = found[0].path if found else where, ()
    for record in records:
        where = record.path
        name = record.name(task.label_key)
        if not name:
            raise record.error(f"{record.lacking(task.label_key)}; a training example needs a label")
        if name not in task.no_gold_labels:
            counts[name] += 1
    for name in list(counts):
        whole = without_zero_decimals(name)
        if whole != name and whole in counts:
            counts[whole] += counts.pop(name)
    logging.info("%s: labels %s", where, ", ".join(f"{name} ({counts[name]})" for name in sorted(counts)))
    cases = collections.defaultdict(list)
    for name in sorted(counts):
        cases[name.casefold()].append(name)
    for names in cases.values():
        if len(names) > 1:
            logging.warning("%s: the labels %s differ only in case and are treated as different labels", where,
                            " and ".join(names))  # fmt: skip
    return _checked([Label(name) for name in sorted(counts)], where, _least(task))


def _least(task: Task) -> int:
    """Returns how many labels a task has at least."""
    return 1 if task.form == SEQUENCE_LABELLING else 2


def without_zero_decimals(name: str) -> str:
    """Returns `1` for `1.0`, which pandas and spreadsheets write for integers, and other names unchanged."""
    found = _ZERO_DECIMALS.fullmatch(name)
    return found[1] if found else name


def label_indices(labels: Sequence[str]) -> Mapping[str, int]:
    """Returns the index of each label. A label such as `1.0` is also a key as `1`."""
    indices = {name: index for index, name in enumerate(labels)}
    return indices | {
        whole: index for name, index in indices.items() if (whole := without_zero_decimals(name)) not in indices
    }


def find_label(indices: Mapping[str, int], name: str) -> int | None:
    """Returns the index of a label as it is written in a file, or None if it is unknown.

    Args:
      indices: see `label_indices`.
      name: see `Record.name`.
    """
    return indices.get(name, indices.get(without_zero_decimals(name)))


def read_labels(path: str, least: int = 2) -> tuple[Label, ...]:
    """Reads a file of labels: CLUE's JSON lines `{"label": …, "label_desc": …}`, or a JSON list of names.

    Raises:
      InputError: the file has neither format, a duplicate label, or fewer than `least` labels.
    """
    if read_bytes(path)[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        items = read_json(path, "data_dir", "a list of label names")
        records: Iterable[Record] = [
            Record(path, index + 1, item if isinstance(item, dict) else {"label": item})
            for index, item in enumerate(items)
        ]
    else:
        records = read_json_lines(path, "data_dir")
    return _checked([_label(record) for record in records], path, least)


def _label(record: Record) -> Label:
    name = record.name("label")
    if not name:
        raise record.error(f'has no label; {{"label": "…", "label_desc": "…"}} is expected, not '
                           f"{shown(dict(record.content))}")  # fmt: skip
    return Label(name, next((record.string(key) for key in DESCRIPTION_KEYS if record.content.get(key)), ""))


def _checked(labels: Sequence[Label], path: str, least: int) -> tuple[Label, ...]:
    counts = collections.Counter(label.name for label in labels)
    name, count = counts.most_common(1)[0] if counts else ("", 0)
    if count > 1:
        raise InputError(f"{path}: contains the label {name!r} {count} times")
    if len(counts) < least:
        needed = "two" if least == 2 else "one"
        found = f"{len(counts)} label ({', '.join(counts)})" if counts else "no labels"
        raise InputError(f"{path}: has {found}; a task needs at least {needed}")
    return tuple(labels)
