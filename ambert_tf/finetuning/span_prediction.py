"""From the scores of positions to answers: BERT's search, with max-context scoring."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ambert_tf.finetuning.span_examples import SpanExample, Windows


class Answer(NamedTuple):
    """A possible answer.

    Attributes:
      text: sliced out of the context; "" for none.
      score: logit of the start plus logit of the end.
      start, end: bytes of the context; 0 and 0 for none.
    """

    text: str
    score: float
    start: int
    end: int


class Answers(NamedTuple):
    """The possible answers to a question.

    Attributes:
      best: by score, all different, "" not among them.
      null_score: of no answer: the lowest of the windows' scores of [CLS], as in BERT.
    """

    best: list[Answer]
    null_score: float

    @property
    def null_odds(self) -> float:
        """How much more no answer scores than the best that is one."""
        return self.null_score - self.best[0].score if self.best else 0.0


def find_answers(
    examples: Sequence[SpanExample],
    windows: Windows,
    logits: np.ndarray,
    n_best_size: int = 20,
    max_answer_length: int = 30,
    whole_coarse: bool = False,
) -> list[Answers]:
    """Returns the best answers to each question.

    Args:
      examples: the questions.
      windows: on their contexts.
      logits: float32 [windows, fine_length, 2], of a position being the first and the last.
      n_best_size: answers to keep, and positions to start from in a window.
      max_answer_length: fine tokens of an answer at most.
      whole_coarse: answers begin and end where coarse tokens do: for a model that does not tell the fine tokens inside
        one from each other.
    """
    by_example: list[list[int]] = [[] for _ in examples]
    for window, example in enumerate(windows.example):
        by_example[example].append(window)
    found = []
    for example, own in zip(examples, by_example, strict=True):
        context = example.context.encode()
        candidates: list[tuple[float, int, int]] = []
        for window in own:
            candidates += _window_answers(
                windows, window, logits[window], n_best_size, max_answer_length, whole_coarse
            )
        best: list[Answer] = []
        seen = set()
        for score, start, end in sorted(candidates, key=lambda item: -item[0]):
            # A byte that is no character of its own cannot begin a token, so this never cuts one.
            text = context[start:end].decode(errors="ignore")
            if text and text not in seen:
                seen.add(text)
                best.append(Answer(text, score, start, end))
            if len(best) == n_best_size:
                break
        null_score = min(float(logits[window, 0].sum()) for window in own)
        found.append(Answers(best, null_score))
    return found


def _window_answers(
    windows: Windows, window: int, logits: np.ndarray, n_best_size: int, max_answer_length: int, whole_coarse: bool
) -> Iterator[tuple[float, int, int]]:
    """Yields score, first and last byte of the best answers in a window."""
    starts, ends = windows.starts[window], windows.ends[window]
    tokens, offset = len(starts), windows.offset[window]
    if not tokens:
        return
    scores = logits[offset : offset + tokens]
    may_start = windows.max_context[window] > 0
    may_end = np.ones(tokens, bool)
    if whole_coarse:
        coarse = windows.coarse[window][offset : offset + tokens]
        may_start &= np.diff(coarse, prepend=-1) != 0
        may_end &= np.diff(coarse, append=-1) != 0
    starting = np.where(may_start, scores[:, 0], -np.inf)
    ending = np.where(may_end, scores[:, 1], -np.inf)
    first = np.argsort(-starting, kind="stable")[:n_best_size]
    last = np.argsort(-ending, kind="stable")[:n_best_size]
    total = starting[first][:, np.newaxis] + ending[last]
    length = last - first[:, np.newaxis] + 1
    allowed = (length >= 1) & (length <= max_answer_length) & np.isfinite(total)
    for i, j in zip(*np.nonzero(allowed), strict=True):
        yield float(total[i, j]), int(starts[first[i]]), int(ends[last[j]])


def probabilities(scores: Sequence[float]) -> list[float]:
    """Returns the softmax of scores."""
    if not scores:
        return []
    shifted = np.exp(np.array(scores) - max(scores))
    return [float(value) for value in shifted / shifted.sum()]
