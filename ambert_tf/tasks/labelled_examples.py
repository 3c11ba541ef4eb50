"""Makes labelled examples of a task's records."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ambert_tf.errors import InputError
from ambert_tf.models.task_config import MULTIPLE_CHOICE, REGRESSION
from ambert_tf.tasks.declaration import FILE_FLAGS, Example, ReadOptions, Task, Texts
from ambert_tf.tasks.json_lines import Record, shown

SHOWN_LABELS = 20


class Examples(NamedTuple):
    """The examples of a split.

    Attributes:
      examples: in the order of the files.
      left_out: how many were left out because no label is right: the annotators did not agree.
    """

    examples: list[Example]
    left_out: int


def read_examples(
    task: Task,
    records: Iterable[Record],
    split: str,
    labels: Sequence[str] = (),
    options: ReadOptions | None = None,
    needs_labels: bool = True,
) -> Examples:
    """Makes the examples of a split.

    Args:
      task: its declaration; of any form but spans.
      records: see `file_records`.
      split: which they are read as: training examples may be taken several times, and for errors.
      labels: all labels, in the order of their indices.
      options: how texts are made.
      needs_labels: whether an example without a label is an error; if not, labels are not looked at.

    Raises:
      InputError: with file and line: broken JSON, a missing key, an unknown or a missing label; or there are none.
    """
    options = options or ReadOptions()
    indices = {name: index for index, name in enumerate(labels)}
    examples: list[Example] = []
    left_out = number = 0
    for record in records:
        texts = task.texts(record, options)
        # A named tuple is a tuple too.
        rows = (texts,) if isinstance(texts, Texts) else texts
        label = None
        if needs_labels:
            value = record.content.get(task.label_key)
            if isinstance(value, str) and value in task.no_gold_labels:
                left_out += 1
                continue
            label = _label(task, record, split, indices, len(rows))
        group = record.content.get("group") if task.form == MULTIPLE_CHOICE else None
        example = Example(_id(task, record, number), rows, label, group)
        examples += [example] * (task.copies(record) if options.augment and split == "train" else 1)
        number += 1
    if not examples:
        raise InputError(f"--{FILE_FLAGS[split]}: no examples are left to use of {left_out} records")
    return Examples(examples, left_out)


def _id(task: Task, record: Record, number: int) -> int | str:
    value = next((record.content[key] for key in task.id_keys if key in record.content), number)
    return value if isinstance(value, int | str) else number


def _label(task: Task, record: Record, split: str, indices: Mapping[str, int], rows: int) -> int | float:
    if record.content.get(task.label_key) is None:
        if name := record.content.get("answer_file"):
            raise record.error(f"has no answer; answers are expected in {name}, beside the file")
        if split == "train":
            raise record.error(f"the key {task.label_key!r} is missing; a training example needs a label")
        raise record.error(
            f"the key {task.label_key!r} is missing; --do_eval needs a file with labels (--eval_file), "
            "--do_predict takes one without"
        )
    if task.form == REGRESSION:
        return _score(task, record)
    if task.form == MULTIPLE_CHOICE:
        answer = record.integer(task.label_key)
        if not 0 <= answer < rows:
            raise record.error(f"{task.label_key!r} is {answer}; it must be from 0 to {rows - 1}")
        return answer
    name = record.name(task.label_key)
    if name not in indices:
        known = list(indices)
        more = f" and {len(known) - SHOWN_LABELS} more" if len(known) > SHOWN_LABELS else ""
        raise record.error(f"unknown label {name!r}; the labels are {', '.join(known[:SHOWN_LABELS])}{more}")
    return indices[str(name)]


def _score(task: Task, record: Record) -> float:
    value = record.content[task.label_key]
    try:
        score = float(value)
    except (TypeError, ValueError):
        score = math.nan
    low, high = task.score_range or (-math.inf, math.inf)
    if not (math.isfinite(score) and low <= score <= high):
        expected = f"a number from {low:g} to {high:g}" if task.score_range else "a number"
        raise record.error(f"{task.label_key!r} is {shown(value)}; it must be {expected}")
    return score
