"""Which labels a data set has."""

import os
from collections.abc import Iterable, Sequence

from ambert_tf.errors import InputError
from ambert_tf.files import check_input_file
from ambert_tf.tasks.declaration import Label, Task
from ambert_tf.tasks.json_lines import Record, read_json, read_json_lines

LABELS_FILE = "labels.json"
# TNEWS and IFLYTEK write the word for a label under different keys.
DESCRIPTION_KEYS = ("label_desc", "label_des")


def find_labels(task: Task, data_dir: str, training_records: Iterable[Record] | None) -> tuple[Label, ...]:
    """Returns the labels: those of `labels.json` in the data directory, else the declared ones, else those in use.

    Args:
      task: its declaration.
      data_dir: the data directory.
      training_records: where to collect labels from, sorted, if nothing else says which there are.

    Raises:
      InputError: a file is wrong, or no label or only one is found.
    """
    path = os.path.join(data_dir, LABELS_FILE)
    if data_dir and os.path.exists(path):
        return read_labels(path)
    if task.labels is not None:
        return task.labels
    if training_records is None:
        raise InputError(
            f"--data_dir={data_dir}: which labels {task.name} has is not known; put a {LABELS_FILE} there, or name "
            "the training file by --train_file"
        )
    found = set()
    where = "--train_file"
    for record in training_records:
        where = record.path
        name = record.name(task.label_key)
        if name is None:
            raise record.error(f"the key {task.label_key!r} is missing; a training example needs a label")
        found.add(name)
    return _checked([Label(name) for name in sorted(found - task.no_gold_labels)], where)


def read_labels(path: str) -> tuple[Label, ...]:
    """Reads a file of labels: CLUE's JSON lines `{"label": …, "label_desc": …}`, or one JSON list of names.

    Raises:
      InputError: it is neither, or names a label twice or fewer than two.
    """
    check_input_file(path, "data_dir")
    with open(path, "rb") as file:
        start = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start == b"[":
        items = read_json(path, "data_dir", "a list of label names")
        records = [Record(path, i + 1, item if isinstance(item, dict) else {"label": item})
                   for i, item in enumerate(items)]  # fmt: skip
        return _checked([_label(record) for record in records], path)
    return _checked([_label(record) for record in read_json_lines(path, "data_dir")], path)


def _label(record: Record) -> Label:
    name = record.name("label")
    if name is None:
        raise record.error('the key \'label\' is missing; {"label": "…", "label_desc": "…"} is expected')
    return Label(name, next((record.string(key) for key in DESCRIPTION_KEYS if record.content.get(key)), ""))


def _checked(labels: Sequence[Label], path: str) -> tuple[Label, ...]:
    names = [label.name for label in labels]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path}: the label {twice[0]!r} is there twice")
    if len(names) < 2:
        raise InputError(f"{path}: has {len(names)} label ({', '.join(names)}); a task needs at least two")
    return tuple(labels)
