"""Converts the records of a task to labelled examples."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from absl import logging

from ambert_tf.errors import InputError
from ambert_tf.models.task_config import CLASSIFICATION, IDIOMS, MULTIPLE_CHOICE, REGRESSION
from ambert_tf.tasks.declaration import (
    FILE_FLAGS,
    Choices,
    Example,
    MarkedSpans,
    Question,
    RawInputs,
    ReadOptions,
    Task,
    Texts,
)
from ambert_tf.tasks.json_lines import Record, shown
from ambert_tf.tasks.labels import find_label, label_indices

SHOWN_LABELS = 20
FLOAT32_MAX = 3.4e38
# The type that `Task.texts` returns, by form.
EXAMPLE_INPUTS: Mapping[str, tuple[type, ...]] = {
    CLASSIFICATION: (Texts, MarkedSpans),
    REGRESSION: (Texts, MarkedSpans),
    MULTIPLE_CHOICE: (Choices,),
}


class Examples(NamedTuple):
    """The examples of a split.

    Attributes:
      examples: the examples, in the order of the files.
      left_out: number of examples skipped because the annotators did not agree on a gold label.
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
    """Creates the examples of a split.

    Args:
      task: declaration of the task, of any form except `spans`.
      records: see `file_records`.
      split: the split. In `train`, augmentation may repeat examples. Error messages also depend on it.
      labels: all labels, in the order of their indices.
      options: options of `Task.texts`.
      needs_labels: whether a missing label is an error. If False, labels are ignored.

    Raises:
      InputError: a key is missing, a label is missing or unknown, or there are no examples.
    """
    options = options or ReadOptions()
    indices = label_indices(labels)
    examples: list[Example] = []
    left_out = number = 0
    augmented = False
    path = ""
    for record in records:
        augmented = augmented or bool(task.augmentation_key and record.content.get(task.augmentation_key))
        path = record.path
        inputs = task.texts(record, options)
        if isinstance(inputs, Question) or not isinstance(inputs, EXAMPLE_INPUTS[task.form]):
            kinds = " or ".join(kind.__name__ for kind in EXAMPLE_INPUTS[task.form])
            raise InputError(f"task {task.name}: `texts` returns {type(inputs).__name__}; {kinds} is expected")
        if isinstance(inputs, Texts) and (inputs.text_pair is not None) != task.pair:
            raise InputError(
                f"task {task.name}: `texts` returns {'one text' if task.pair else 'two texts'}, but pair={task.pair}"
            )
        label = None
        if needs_labels:
            if task.no_gold_labels and record.name(task.label_key) in task.no_gold_labels:
                left_out += 1
                continue
            label = _label(task, record, split, indices, inputs)
        group = record.content.get("group") if task.inputs == IDIOMS else None
        example = Example(example_id(task, record, number), inputs, label, group)
        examples += [example] * (task.copies(record) if options.augment and split == "train" else 1)
        number += 1
    if not examples:
        without = f" with a gold label; {left_out} have none" if left_out else ""
        raise InputError(f"--{FILE_FLAGS[split]}: has no examples{without}")
    if options.augment and task.augmentation_key and not augmented:
        logging.warning(
            "%s: no record has %s, which the data augmentation of %s adds to the texts; to train a model without "
            "them, use --data_augmentation=false", path, task.augmentation_key, task.name,
        )  # fmt: skip
    return Examples(examples, left_out)


def example_id(task: Task, record: Record, number: int) -> int | str:
    """Returns the id of a record, or its index if it has none."""
    key = next((key for key in task.id_keys if record.content.get(key) is not None), None)
    return number if key is None else record.identifier(key)


def _label(task: Task, record: Record, split: str, indices: Mapping[str, int], inputs: RawInputs) -> int | float:
    value = record.content.get(task.label_key)
    if value is None or (isinstance(value, str) and not value.strip()):
        if name := record.content.get("answer_file"):
            raise record.error(f"has no answer; answers are expected in {name}, in the same directory")
        lacking = record.lacking(task.label_key)
        if split == "train":
            raise record.error(f"{lacking}; a training example needs a label")
        raise record.error(
            f"{lacking}; --do_eval needs a file with labels (--eval_file); --do_predict also takes files without labels"
        )
    if task.form == REGRESSION:
        return _score(task, record)
    if task.form == MULTIPLE_CHOICE:
        answer = record.integer(task.label_key)
        choices = inputs.choices if isinstance(inputs, Choices) else ()
        if not 0 <= answer < len(choices):
            raise record.error(f"{task.label_key!r} is {shown(answer)}; it must be from 0 to {len(choices) - 1}")
        if not choices[answer]:
            raise record.error(f"{task.label_key!r} is {answer}, but that choice is empty")
        return answer
    name = record.name(task.label_key) or ""
    index = find_label(indices, name)
    if index is None:
        known = list(indices)
        more = f" and {len(known) - SHOWN_LABELS} more" if len(known) > SHOWN_LABELS else ""
        raise record.error(f"unknown label {name!r}; the labels are {', '.join(known[:SHOWN_LABELS])}{more}")
    return index


def _score(task: Task, record: Record) -> float:
    value = record.content[task.label_key]
    try:
        score = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        score = math.nan
    low, high = task.score_range or (-FLOAT32_MAX, FLOAT32_MAX)
    if not low <= score <= high:
        expected = f"a number from {low:g} to {high:g}" if task.score_range else "a number"
        raise record.error(f"{task.label_key!r} is {shown(value)}; it must be {expected}")
    return score
