"""Examples of sequence labelling: texts with labelled spans."""

import collections
import itertools
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ambert_tf.errors import InputError
from ambert_tf.models.tagging_schemes import Span
from ambert_tf.tasks.declaration import FILE_FLAGS, ReadOptions, TaggedText, Task, Texts
from ambert_tf.tasks.json_lines import Record
from ambert_tf.tasks.labelled_examples import SHOWN_LABELS, example_id

# What readers count per record.
_COUNTED = ("misplaced_tags", "overlapping_entities")


class TaggedTexts(NamedTuple):
    """The examples of a split.

    Attributes:
      examples: in the order of the files.
      counts: `entities`; if there are some, `misplaced_tags` and `overlapping_entities` of the readers, and
        `invisible_entities`, which consist of white space and control characters only. These are left out.
    """

    examples: list[TaggedText]
    counts: dict[str, int]


def read_tagged_texts(
    task: Task, records: Iterable[Record], split: str, labels: Sequence[str], needs_labels: bool = True
) -> TaggedTexts:
    """Makes the examples of a split.

    Args:
      task: declaration of the task.
      records: see `sequence_labelling_files`.
      split: which split they are, for errors.
      labels: all labels.
      needs_labels: whether texts need labels. If false, labels are ignored.

    Raises:
      InputError: a text has no labels, or one that is unknown; or there are no examples.
    """
    examples: list[TaggedText] = []
    counts: collections.Counter[str] = collections.Counter()
    known = set(labels)
    for number, record in enumerate(records):
        inputs = task.texts(record, ReadOptions())
        if not isinstance(inputs, Texts) or inputs.text_pair is not None:
            raise InputError(f"task {task.name}: its texts returns {type(inputs).__name__}; one text is expected")
        spans: list[Span] | None = None
        if needs_labels:
            if "spans" not in record.content:
                what = "a training example needs them" if split == "train" else (
                    "--do_eval needs a file with labels (--eval_file), --do_predict takes one without"
                )  # fmt: skip
                raise record.error(f"has no labels; {what}")
            spans = []
            lines = record.content.get("span_lines", itertools.repeat(record.line))
            for span, line in zip(record.content["spans"], lines, strict=False):
                if span.label not in known:
                    record.line = line
                    more = f" and {len(labels) - SHOWN_LABELS} more" if len(labels) > SHOWN_LABELS else ""
                    names = ", ".join(labels[:SHOWN_LABELS])
                    raise record.error(f"unknown label {span.label!r}; the labels are {names}{more}")
                spans += _visible(inputs.text, span)
            counts["invisible_entities"] += len(record.content["spans"]) - len(spans)
            counts["entities"] += len(spans)
            counts.update({name: record.content.get(name, 0) for name in _COUNTED})
        examples.append(TaggedText(example_id(task, record, number), inputs, None if spans is None else tuple(spans)))
    if not examples:
        raise InputError(f"--{FILE_FLAGS[split]}: has no examples")
    return TaggedTexts(examples, {name: count for name, count in counts.items() if count or name == "entities"})


def _visible(text: str, span: Span) -> list[Span]:
    """Returns a span without characters at its ends that no token covers, in a list; an empty one if none is left."""
    start, end = span.start, span.end
    while start < end and _is_invisible(text[start]):
        start += 1
    while start < end and _is_invisible(text[end - 1]):
        end -= 1
    return [Span(start, end, span.label)] if start < end else []


def _is_invisible(character: str) -> bool:
    """Returns whether a character is white space, or one that BERT's normalization removes."""
    return character.isspace() or character == "\ufffd" or unicodedata.category(character) in ("Cc", "Cf")
