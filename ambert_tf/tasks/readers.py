"""Finds and reads the examples of a task."""

import os
from collections.abc import Sequence

from ambert_tf.errors import InputError
from ambert_tf.tasks.declaration import ClassificationTask, Example
from ambert_tf.tasks.json_lines import Record, read_json_lines

# The flag that names another file for a split.
FILE_FLAGS = {"train": "train_file", "dev": "eval_file", "test": "predict_file"}
SHOWN_LABELS = 20


def split_file(task: ClassificationTask, data_dir: str, split: str, name: str | None = None) -> str:
    """Returns the file of a split.

    Args:
      task: its declaration.
      data_dir: where its files are.
      split: `train`, `dev` or `test`.
      name: another file, in `data_dir` or anywhere; the declared one by default.

    Raises:
      InputError: there is no such file; the error says which files are expected and where to get them.
    """
    flag = FILE_FLAGS[split]
    if name:
        inside = os.path.join(data_dir, name)
        if os.path.exists(inside) or not os.path.exists(name):
            name = inside
        if not os.path.exists(name):
            raise InputError(f"--{flag}={name}: no such file")
        return name
    if not data_dir:
        raise InputError(f"--data_dir is needed: the directory with {_expected(task)}")
    if not os.path.isdir(data_dir):
        raise InputError(f"--data_dir={data_dir}: no such directory; one with {_expected(task)} is needed")
    path = os.path.join(data_dir, task.files[split])
    if not os.path.exists(path):
        raise InputError(
            f"--data_dir={data_dir}: has no {task.files[split]}; {_expected(task)} are expected; another file is "
            f"named by --{flag}"
        )
    return path


def _expected(task: ClassificationTask) -> str:
    files = ", ".join(task.files.values())
    where = f" (official download: {task.download_page})" if task.download_page else ""
    return f"{task.name}'s files {files}{where}"


def read_examples(
    task: ClassificationTask,
    path: str,
    split: str,
    labels: Sequence[str],
    augment: bool = True,
    needs_labels: bool = True,
) -> list[Example]:
    """Reads the examples of a file.

    Args:
      task: its declaration.
      path: the file.
      split: which it is read as, for errors.
      labels: all labels, in the order of their indices.
      augment: whether to apply the task's data augmentation.
      needs_labels: whether an example without a label is an error; if not, labels are not looked at.

    Raises:
      InputError: with file and line: broken JSON, a missing key, an unknown or a missing label.
    """
    indices = {name: index for index, name in enumerate(labels)}
    examples = []
    for number, record in enumerate(read_json_lines(path, FILE_FLAGS[split])):
        label = _label_index(task, record, split, indices) if needs_labels else None
        examples.append(Example(_id(record, number), task.texts(record, augment), label))
    return examples


def _id(record: Record, number: int) -> int | str:
    value = record.content.get("id", number)
    return value if isinstance(value, int | str) else number


def _label_index(task: ClassificationTask, record: Record, split: str, indices: dict[str, int]) -> int:
    name = record.name(task.label_key)
    if name is None:
        if split == "train":
            raise record.error(f"the key {task.label_key!r} is missing; a training example needs a label")
        raise record.error(
            f"the key {task.label_key!r} is missing; --do_eval needs a file with labels (--eval_file), "
            "--do_predict takes one without"
        )
    if name not in indices:
        known = list(indices)
        more = f" and {len(known) - SHOWN_LABELS} more" if len(known) > SHOWN_LABELS else ""
        raise record.error(f"unknown label {name!r}; the labels are {', '.join(known[:SHOWN_LABELS])}{more}")
    return indices[name]
