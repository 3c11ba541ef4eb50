"""Extractive question answering."""

import functools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ambert_tf.finetuning.form import Form, Logits
from ambert_tf.finetuning.result_files import PREDICTIONS_FILE, write_json
from ambert_tf.finetuning.span_examples import SpanExample, read_questions
from ambert_tf.finetuning.splits import Split
from ambert_tf.finetuning.tokenized_examples import TokenizedExamples
from ambert_tf.models.task_answers import best_answers, final_answers, window_candidates
from ambert_tf.models.task_config import TaskConfig
from ambert_tf.tasks import cmrc_metrics, squad_metrics
from ambert_tf.tasks.declaration import Task
from ambert_tf.tasks.json_lines import Record
from ambert_tf.tasks.leaderboard import Prediction, write_leaderboard_files

NBEST_FILE = "nbest_predictions.json"
NULL_ODDS_FILE = "null_odds.json"
# Number of questions per call of the search. Each has hundreds of candidates per window.
QUESTIONS_AT_ONCE = 16

QuestionScores = Callable[[str, Sequence[str]], dict[str, float]]


class Answer(NamedTuple):
    """A candidate answer: its text and its byte offsets into the context, or "", 0 and 0 for no answer."""

    text: str
    score: float
    start: int
    end: int


class QuestionAnswers(NamedTuple):
    """The candidate answers to a question.

    Attributes:
      best: the best answers in descending order of score, distinct and non-empty.
      null_score: score of no answer.
      null_odds: null score minus the score of the best answer.
      final: the predicted answer, "" for no answer.
    """

    best: list[Answer]
    null_score: float
    null_odds: float
    final: str


class SpanForm(Form):
    """See `Form`."""

    def __init__(self, task: Task, config: TaskConfig) -> None:
        super().__init__(task, config)
        mixed = task.metrics[0] in ("mixed_f1", "mixed_exact_match")
        self._question_scores: QuestionScores = cmrc_metrics.question_scores if mixed else squad_metrics.question_scores

    def read(self, records: Iterable[Record], split: str, files: tuple[str, ...], needs_labels: bool) -> Split:
        examples, counts = read_questions(records, split, needs_labels, self.config.null_answers)
        return Split(split, files, examples, counts if needs_labels else {})

    def answers(self, logits: Logits, data: TokenizedExamples, head: str = "joint") -> list[QuestionAnswers]:
        """Returns the candidate answers to each question, given by one head's logits."""
        return find_answers(self.config, logits.by_head[head], data, whole_coarse=head in logits.coarse_heads)

    def scores(self, logits: Logits, data: TokenizedExamples, heads: Iterable[str]) -> dict[str, float]:
        results: dict[str, float] = {}
        for head in heads:
            texts = [found.final for found in self.answers(logits, data, head)]
            scores = mean_scores(self._question_scores, texts, data.split.examples)
            results.update({name if head == "joint" else f"{head}_{name}": value for name, value in scores.items()})
        return results

    def write_evaluation(self, output_dir: str, logits: Logits, data: TokenizedExamples) -> dict[str, float]:
        answers = self.answers(logits, data)
        self._write(output_dir, data.split.examples, answers)
        return self._threshold_results(data.split.examples, answers) if self.config.null_answers else {}

    def write_predictions(self, output_dir: str, logits: Logits, data: TokenizedExamples) -> None:
        answers = self.answers(logits, data)
        self._write(output_dir, data.split.examples, answers)
        if self.task.leaderboard is not None:
            predictions = [Prediction(e.id, a.final) for e, a in zip(data.split.examples, answers, strict=True)]
            write_leaderboard_files(output_dir, self.task.leaderboard, predictions, data.split.files[0])

    def _write(self, output_dir: str, examples: Sequence[SpanExample], answers: Sequence[QuestionAnswers]) -> None:
        """Writes `predictions.json`, `nbest_predictions.json` and, for tasks with null answers, `null_odds.json`."""
        by_id = {example.id: found for example, found in zip(examples, answers, strict=True)}
        contents = {
            PREDICTIONS_FILE: {name: found.final for name, found in by_id.items()},
            NBEST_FILE: {name: self._nbest(found) for name, found in by_id.items()},
        }
        if self.config.null_answers:
            contents[NULL_ODDS_FILE] = {name: found.null_odds for name, found in by_id.items()}
        for name, content in contents.items():
            write_json(os.path.join(output_dir, name), content)

    def _nbest(self, found: QuestionAnswers) -> list[dict[str, str | float | int]]:
        rows = list(found.best)
        if self.config.null_answers or not rows:
            rows.append(Answer("", found.null_score, 0, 0))
        rows.sort(key=lambda row: -row.score)
        shares = np.exp(np.array([row.score for row in rows]) - rows[0].score)
        return [
            {
                "text": row.text,
                "probability": float(share),
                "score": row.score,
                "start_byte": row.start,
                "end_byte": row.end,
            }
            for row, share in zip(rows, shares / shares.sum(), strict=True)
        ]

    def _threshold_results(
        self, examples: Sequence[SpanExample], answers: Sequence[QuestionAnswers]
    ) -> dict[str, float]:
        """Returns the scores at the best threshold, and the scores on questions with and without an answer."""
        answerable = {example.id: bool(squad_metrics.right_answers(example.answers)[0]) for example in examples}
        odds = {example.id: found.null_odds for example, found in zip(examples, answers, strict=True)}
        best_texts = [found.best[0].text if found.best else "" for found in answers]
        each = [self._question_scores(t, e.answers or ("",)) for t, e in zip(best_texts, examples, strict=True)]
        results: dict[str, float] = {}
        for name in self.task.metrics:
            by_id = {example.id: scores[name] for example, scores in zip(examples, each, strict=True)}
            best, threshold = squad_metrics.best_threshold(by_id, odds, answerable)
            results[f"best_{name}"], results[f"best_{name}_threshold"] = best, threshold
        for kind, wanted in (("has_answer", True), ("no_answer", False)):
            chosen = [i for i, example in enumerate(examples) if answerable[example.id] == wanted]
            results[f"{kind}_questions"] = len(chosen)
            if chosen:
                texts, own = [answers[i].final for i in chosen], [examples[i] for i in chosen]
                scores = mean_scores(self._question_scores, texts, own)
                results.update({f"{kind}_{name}": value for name, value in scores.items()})
        return results


def find_answers(
    config: TaskConfig, logits: np.ndarray, data: TokenizedExamples, whole_coarse: bool = False
) -> list[QuestionAnswers]:
    """Returns the best answers to each question.

    Args:
      config: parameters of the search; see `TaskConfig`.
      logits: float32 [windows, fine_length, 2].
      data: the windows.
      whole_coarse: see `window_candidates`.
    """
    search = _search_function(config, whole_coarse)
    owners = data.windows["window_example"].numpy()
    found = []
    for first in range(0, len(data.split.examples), QUESTIONS_AT_ONCE):
        examples = data.split.examples[first : first + QUESTIONS_AT_ONCE]
        rows = slice(*np.searchsorted(owners, [first, first + len(examples)]))
        windows = {name: values[rows] for name, values in data.windows.items()}
        windows["window_example"] -= first
        contexts = tf.constant([example.inputs.context for example in examples])
        answers, outputs = search(tf.constant(logits[rows]), windows, contexts)
        columns = [values.to_list() for values in answers[:4]]
        null_scores, finals = answers.null_score.numpy(), outputs["answer"].numpy()
        null_odds = outputs["null_odds"].numpy() if config.null_answers else np.zeros(len(examples))
        for row in range(len(examples)):
            best = [
                Answer(_decoded(text), score, start, end)
                for text, score, start, end in zip(*(column[row] for column in columns), strict=True)
            ]
            found.append(
                QuestionAnswers(best, float(null_scores[row]), float(null_odds[row]), _decoded(finals[row]))
            )
    return found


def _decoded(text: bytes) -> str:
    return text.decode(errors="ignore")


@functools.lru_cache(maxsize=8)
def _search_function(config: TaskConfig, whole_coarse: bool) -> Callable[..., Any]:
    """Returns the search as a graph. Tracing takes seconds, so graphs are cached."""

    def search(logits: tf.Tensor, windows: Mapping[str, Any], contexts: tf.Tensor) -> Any:
        candidates = window_candidates(config, logits, windows, whole_coarse)
        answers = best_answers(candidates, windows["window_example"], contexts, config.n_best_size)
        return answers, final_answers(config, answers)

    return tf.function(search, autograph=False, reduce_retracing=True)


def mean_scores(
    question_scores: QuestionScores, texts: Sequence[str], examples: Sequence[SpanExample]
) -> dict[str, float]:
    """Returns the mean of each metric over all questions."""
    scores = [question_scores(text, example.answers or ("",)) for text, example in zip(texts, examples, strict=True)]
    return {name: float(np.mean([score[name] for score in scores])) for name in scores[0]}
