"""Reads a task's records from TensorFlow Datasets, with the keys of the official files."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ambert_tf.errors import InputError, one_line
from ambert_tf.models.tagging_schemes import spans_of_tags
from ambert_tf.models.task_config import CLASSIFICATION, MULTIPLE_CHOICE, SEQUENCE_LABELLING, SPANS
from ambert_tf.tasks.declaration import Task
from ambert_tf.tasks.json_lines import Record
from ambert_tf.tasks.multiple_choice_files import LETTERS
from ambert_tf.tasks.sequence_labelling_files import joined


def has_split(task: Task, split: str) -> bool:
    """Returns whether TensorFlow Datasets has a split of a task."""
    return task.tfds is not None and split in task.tfds.splits


def tfds_records(task: Task, split: str, tfds_data_dir: str | None = None) -> Iterator[Record]:
    """Yields the records of a split. If necessary, the data set is downloaded and prepared first.

    Args:
      task: declaration of the task.
      split: `train`, `dev` or `test`.
      tfds_data_dir: data directory of TensorFlow Datasets. Defaults to its own default.

    Raises:
      InputError: TensorFlow Datasets does not have the split or cannot prepare the data set.
    """
    import tensorflow_datasets as tfds

    if task.tfds is None or split not in task.tfds.splits:
        what = "the task" if task.tfds is None else f"a {split} split of it"
        raise InputError(f"--data_source=tfds: TensorFlow Datasets does not have {what} ({task.name}); use files")
    for name in task.tfds.names:
        try:
            builder = tfds.builder(name, data_dir=tfds_data_dir)
            builder.download_and_prepare()
            source = builder.as_dataset(split=task.tfds.splits[split])
        except Exception as error:  # for many reasons: no network, no disk space, no such version
            raise InputError(
                f"--data_source=tfds: {name} cannot be prepared in --tfds_data_dir={tfds_data_dir or 'the default'}: "
                f"{one_line(error)[:300]}"
            ) from None
        for number, row in enumerate(tfds.as_numpy(source), 1):
            yield from _records(task, f"tfds:{name}", number, _plain(row), builder.info.features)


def _records(
    task: Task, path: str, number: int, row: Mapping[str, Any], features: Mapping[str, Any]
) -> Iterator[Record]:
    """Yields the records of a TensorFlow Datasets row: several for RACE, otherwise one."""
    assert task.tfds is not None
    if task.form == SPANS:
        answers = row["answers"]
        content = {
            "id": row["id"],
            "context": row["context"],
            "question": row["question"],
            "answers": answers["text"],
            "starts": answers["answer_start"],
            "labelled": True,
            "impossible": bool(row.get("is_impossible", False)),
        }
        yield Record(path, f"question {row['id']}", content)
    elif task.form == SEQUENCE_LABELLING:
        tags = [features["ner"].feature.int2str(tag) for tag in row["ner"]]
        spans, _ = spans_of_tags(tags, "BIO")
        yield Record(path, f"record {number}", joined(row["tokens"], spans, " "))
    elif task.form == MULTIPLE_CHOICE:
        for index, question in enumerate(row["questions"]):
            content = {
                "id": f"{row['example_id']}-{index}",
                "context": row["article"],
                "question": question,
                "choices": row["options"][index],
                "answer": LETTERS.index(row["answers"][index]),
            }
            yield Record(path, f"record {number}, question {index + 1}", content)
    else:
        content = {task.tfds.columns.get(name, name): value for name, value in row.items()}
        label = content.get(task.label_key)
        if task.form == CLASSIFICATION:
            # The labels of test sets are withheld and set to -1.
            content[task.label_key] = None if label is None or label < 0 else _label(task, label, features["label"])
        elif label is not None and label < 0:
            content[task.label_key] = None
        yield Record(path, f"record {number}", content)


def _label(task: Task, index: int, feature: Any) -> str:
    """Returns a label as in the official file. For some tasks, TensorFlow Datasets has our descriptions as labels."""
    name = feature.int2str(index)
    for label in task.labels or ():
        if name in (label.name, label.description):
            return label.name
    return name


def _plain(value: Any) -> Any:
    """Converts NumPy values to Python's strings, numbers and lists."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value]
    if hasattr(value, "to_list"):  # a ragged tensor: RACE's options
        return _plain(np.array(value.to_list(), dtype=object))
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
