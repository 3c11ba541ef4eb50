"""Examples of extractive question answering."""

import collections
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from absl import logging

from ambert_tf.errors import InputError
from ambert_tf.tasks.declaration import FILE_FLAGS, Question
from ambert_tf.tasks.json_lines import Record, shown
from ambert_tf.tasks.squad_files import NO_PLACE


class SpanExample(NamedTuple):
    """A question with its context and answers.

    Attributes:
      id: the id in the data.
      inputs: the question and its context.
      answers: all gold answers. Empty if there is no answer or it is unknown.
      span: the character offsets (start, end) of the first answer in the context, or None if there is no answer or the
        context does not contain it.
    """

    id: str
    inputs: Question
    answers: tuple[str, ...]
    span: tuple[int, int] | None


class SpanExamples(NamedTuple):
    """The questions of a split.

    Attributes:
      examples: the questions, in the order of the file.
      counts: `answers`, the total number of answers; `misaligned_answers`, answers not found at their given offset;
        `moved_answers`, misaligned answers that occur elsewhere in the context, where the nearest occurrence is used;
        and, for training, `left_out`, questions skipped because the context does not contain their first answer.
    """

    examples: list[SpanExample]
    counts: dict[str, int]


def read_questions(records: Iterable[Record], split: str, needs_labels: bool, null_answers: bool) -> SpanExamples:
    """Converts the records of a split to questions.

    Args:
      records: see `squad_files.span_records`.
      split: the split. In `train`, questions whose answer does not occur in the context are skipped.
      needs_labels: whether missing answers are an error.
      null_answers: whether a question may have no answer.

    Raises:
      InputError: a question is incomplete, or no questions are left.
    """
    examples: list[SpanExample] = []
    counts = dict.fromkeys(("answers", "misaligned_answers", "moved_answers", "left_out"), 0)
    causes: collections.Counter[str] = collections.Counter()
    for record in records:
        context, answers, starts = (record.content[key] for key in ("context", "answers", "starts"))
        known = any(start != NO_PLACE for start in starts) or any(answer in context for answer in answers)
        impossible = record.content["impossible"]
        if needs_labels:
            if impossible and not null_answers:
                raise record.error(
                    "has no answer (is_impossible), but every question of this task needs one; use "
                    "--version_2_with_negative"
                )
            if not known and not (null_answers and (impossible or not answers)) and split != "train":
                what = "has no answers"
                if answers:
                    what = f"the answer {shown(answers[0])} is {_cause(context, answers[0])}"
                raise record.error(f"{what}; --do_eval needs a file with answers; --do_predict does not")
            if not answers and not (null_answers and record.content["labelled"]):
                what = "has no answers" + (", nor is_impossible" if null_answers else "")
                needed = "a training question needs one" if split == "train" else "--do_eval needs a file with answers"
                raise record.error(f"{what}; {needed}")
        spans = [_place(context, answer, start, counts) for answer, start in zip(answers, starts, strict=True)]
        if needs_labels and split == "train" and answers and spans[0] is None:
            counts["left_out"] += 1
            causes[_cause(context, answers[0])] += 1
            continue
        span = spans[0] if spans else None
        name = str(record.content["id"])
        examples.append(SpanExample(name, Question(record.content["question"], context), tuple(answers), span))
    if not examples:
        raise InputError(f"--{FILE_FLAGS[split]}: no questions are left; {counts['left_out']} have no answer in "
                         "their context")  # fmt: skip
    if counts["misaligned_answers"] and needs_labels:
        why = f" ({', '.join(f'{count} {cause}' for cause, count in causes.most_common())})" if causes else ""
        logging.warning(
            "%d of %d answers are not at their given offset: for %d the nearest occurrence is used, %d questions are "
            "skipped%s", counts["misaligned_answers"], counts["answers"], counts["moved_answers"], counts["left_out"],
            why,
        )  # fmt: skip
    return SpanExamples(examples, counts)


def _place(context: str, answer: str, start: int, counts: dict[str, int]) -> tuple[int, int] | None:
    """Returns the span of an answer in characters, without surrounding white space, which no token covers."""
    counts["answers"] += 1
    stripped = answer.strip()
    if stripped and start != NO_PLACE and context.startswith(answer, start):
        start += answer.index(stripped)
        return start, start + len(stripped)
    counts["misaligned_answers"] += 1
    # SQuAD's answers may start or end with white space that the context does not have.
    answer = stripped
    places = [place for place in range(len(context)) if context.startswith(answer, place)] if answer else []
    if not places:
        return None
    counts["moved_answers"] += 1
    nearest = min(places, key=lambda place: abs(place - start))
    return nearest, nearest + len(answer)


def _cause(context: str, answer: str) -> str:
    """Describes why an answer does not occur in its context."""
    if not answer.strip():
        return "empty"
    if answer.casefold() in context.casefold():
        return "in the context with different case"
    answer, context = (unicodedata.normalize("NFKC", text) for text in (answer, context))
    if answer in context:
        return "in the context in a different Unicode form"
    if answer.casefold() in context.casefold():
        return "in the context with different case and Unicode form"
    return "not in the context"
