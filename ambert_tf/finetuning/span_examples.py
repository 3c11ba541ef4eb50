"""Questions with their contexts and answers, and the windows on them."""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from ambert_tf.errors import InputError
from ambert_tf.finetuning.tokenized import TokenizedExamples
from ambert_tf.models.task_config import TaskConfig
from ambert_tf.tasks.declaration import FILE_FLAGS
from ambert_tf.tasks.json_lines import Record, shown
from ambert_tf.tasks.squad_files import NO_PLACE
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.tokenization.windows import build_windows

QUESTIONS_AT_ONCE = 64
MODEL_INPUTS = ("fine_input_ids", "fine_segment_ids", "coarse_input_ids", "coarse_segment_ids", "fine_to_coarse")


class SpanExample(NamedTuple):
    """A question.

    Attributes:
      id: as the data give it.
      question: its text.
      context: the text with the answer.
      answers: all right answers; none where there is no answer, or none is known.
      span: where the first answer is in the context, in characters: of its first, and behind its last; None where
        there is none, or it is not to be found.
    """

    id: str
    question: str
    context: str
    answers: tuple[str, ...]
    span: tuple[int, int] | None


class SpanExamples(NamedTuple):
    """The questions of a split.

    Attributes:
      examples: in the order of the file.
      counts: `answers`, of all questions; `misaligned_answers` that are not where the data say, of which
        `moved_answers` stand elsewhere in the context, the nearest place; for training `left_out` questions whose
        first answer is nowhere in the context.
    """

    examples: list[SpanExample]
    counts: dict[str, int]


def read_questions(records: Iterable[Record], split: str, needs_labels: bool, null_answers: bool) -> SpanExamples:
    """Makes the questions of a split.

    Args:
      records: see `squad_files.span_records`.
      split: `train` leaves out questions whose answer is not to be found; for errors.
      needs_labels: whether a question needs an answer.
      null_answers: whether a question may have none.

    Raises:
      InputError: a question lacks what it needs, or no question is left.
    """
    examples: list[SpanExample] = []
    counts = dict.fromkeys(("answers", "misaligned_answers", "moved_answers", "left_out"), 0)
    for record in records:
        context, answers, starts = (record.content[key] for key in ("context", "answers", "starts"))
        known = any(start != NO_PLACE for start in starts) or any(answer in context for answer in answers)
        impossible = record.content["impossible"]
        if needs_labels:
            if impossible and not null_answers:
                raise record.error(
                    "has no answer (is_impossible), which this task does not know; --task_name=squad2 does"
                )
            if not known and not (null_answers and (impossible or not answers)) and split != "train":
                what = f"the answer {shown(answers[0])} is not in the context" if answers else "has no answers"
                raise record.error(f"{what}; --do_eval needs a file with answers, --do_predict takes one without")
            if not answers and not (null_answers and record.content["labelled"]):
                what = "has no answers" + (", nor is_impossible" if null_answers else "")
                needed = "a training question needs one" if split == "train" else "--do_eval needs a file with answers"
                raise record.error(f"{what}; {needed}")
        spans = [_place(context, answer, start, counts) for answer, start in zip(answers, starts, strict=True)]
        if needs_labels and split == "train" and answers and spans[0] is None:
            counts["left_out"] += 1
            continue
        span = spans[0] if spans else None
        name = str(record.content["id"])
        examples.append(SpanExample(name, record.content["question"], context, tuple(answers), span))
    if not examples:
        raise InputError(f"--{FILE_FLAGS[split]}: no questions are left; {counts['left_out']} have no answer in "
                         "their context")  # fmt: skip
    if counts["misaligned_answers"] and needs_labels:
        logging.warning(
            "%d of %d answers are not where the data say: %d are taken where they stand nearest, %d questions are left "
            "out", counts["misaligned_answers"], counts["answers"], counts["moved_answers"], counts["left_out"],
        )  # fmt: skip
    return SpanExamples(examples, counts)


def _place(context: str, answer: str, start: int, counts: dict[str, int]) -> tuple[int, int] | None:
    """Returns where an answer is, in characters."""
    counts["answers"] += 1
    if answer and start != NO_PLACE and context.startswith(answer, start):
        return start, start + len(answer)
    counts["misaligned_answers"] += 1
    # SQuAD's answers may begin or end with white space that the context has otherwise.
    answer = answer.strip()
    places = [place for place in range(len(context)) if context.startswith(answer, place)] if answer else []
    if not places:
        return None
    counts["moved_answers"] += 1
    nearest = min(places, key=lambda place: abs(place - start))
    return nearest, nearest + len(answer)


class Windows:
    """The windows on the contexts of some questions, tokenized once.

    Args:
      tokenizer: the model's.
      examples: the questions.
      task: lengths.
      fixed_lengths: pad to the longest that there may be, as XLA's fixed shapes need.

    Attributes:
      data: what the model takes; the targets are `start` and `end`, fine positions of the first answer in each window,
        0 where the window does not hold it as a whole.
      example, offset, first_token: int32 [windows]; see `build_windows`.
      starts, ends, max_context: a numpy array for each window: bytes of the context and BERT's rule; likewise.
      coarse: for each window int32 [fine_length], the position of the coarse token.
    """

    def __init__(
        self,
        tokenizer: MultiGrainedTokenizer,
        examples: Sequence[SpanExample],
        task: TaskConfig,
        fixed_lengths: bool = False,
    ) -> None:
        limits = task.max_seq_length, task.max_coarse_seq_length
        function = _windows_function(tokenizer, *limits, task.doc_stride, task.max_query_length)
        columns = [tf.constant(texts) for texts in zip(*((e.question, e.context) for e in examples), strict=True)]
        parts = [
            function(*(column[start : start + QUESTIONS_AT_ONCE] for column in columns))
            for start in range(0, len(examples), QUESTIONS_AT_ONCE)
        ]
        self.example = np.concatenate(
            [part["window_example"].numpy() + at * QUESTIONS_AT_ONCE for at, part in enumerate(parts)]
        )
        self.offset, self.first_token = (_joined(parts, name) for name in ("context_offset", "first_token"))
        self.starts, self.ends, self.max_context = (
            _rows(parts, name) for name in ("context_starts", "context_ends", "max_context")
        )
        self.coarse = _rows(parts, "fine_to_coarse")
        inputs = {name: tf.concat([part[name] for part in parts], axis=0) for name in MODEL_INPUTS}
        self.data = TokenizedExamples(inputs, self._targets(examples), limits if fixed_lengths else None)

    def _targets(self, examples: Sequence[SpanExample]) -> dict[str, np.ndarray]:
        spans = [None if e.span is None else _bytes(e.context, e.span) for e in examples]
        targets = {name: np.zeros(len(self.example), np.int32) for name in ("start", "end")}
        for window, example in enumerate(self.example):
            span = spans[example]
            if span is None:
                continue
            inside = np.flatnonzero((self.starts[window] < span[1]) & (self.ends[window] > span[0]))
            tokens = len(self.starts[window])
            # The answer is cut off where the window begins or ends inside it.
            if not inside.size or not (self.starts[window][0] <= span[0] and span[1] <= self.ends[window][tokens - 1]):
                continue
            targets["start"][window] = self.offset[window] + inside[0]
            targets["end"][window] = self.offset[window] + inside[-1]
        return targets


def _bytes(text: str, span: tuple[int, int]) -> tuple[int, int]:
    """Returns characters of a text as bytes of it in UTF-8."""
    begin = len(text[: span[0]].encode())
    return begin, begin + len(text[span[0] : span[1]].encode())


def _joined(parts: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    return np.concatenate([part[name].numpy() for part in parts])


def _rows(parts: Sequence[dict[str, Any]], name: str) -> list[np.ndarray]:
    return [
        row
        for part in parts
        for row in np.split(part[name].flat_values.numpy(), part[name].row_splits.numpy()[1:-1])
    ]  # fmt: skip


@functools.lru_cache(maxsize=4)
def _windows_function(
    tokenizer: MultiGrainedTokenizer, max_fine: int, max_coarse: int, doc_stride: int, max_query_length: int
) -> Callable[..., dict[str, Any]]:
    """Returns `build_windows` as a graph, which takes seconds to make."""

    def windows(questions: tf.Tensor, contexts: tf.Tensor) -> dict[str, Any]:
        return build_windows(
            tokenizer,
            questions,
            contexts,
            max_seq_length=max_fine,
            max_coarse_seq_length=max_coarse,
            doc_stride=doc_stride,
            max_query_length=max_query_length,
        )

    return tf.function(windows, input_signature=[tf.TensorSpec([None], tf.string)] * 2, autograph=False)
