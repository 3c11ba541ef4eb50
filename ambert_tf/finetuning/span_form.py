"""Span extraction: the answer to a question, in a context."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from ambert_tf.finetuning.form import Split
from ambert_tf.finetuning.prediction import Logits
from ambert_tf.finetuning.result_files import PREDICTIONS_FILE, write_json
from ambert_tf.finetuning.span_examples import SpanExample, Windows, read_questions
from ambert_tf.finetuning.span_prediction import Answers, find_answers, probabilities
from ambert_tf.models.task_config import TaskConfig
from ambert_tf.tasks import cmrc_metrics, squad_metrics
from ambert_tf.tasks.declaration import Task
from ambert_tf.tasks.json_lines import Record
from ambert_tf.tasks.leaderboard import Prediction, write_leaderboard_files
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

NBEST_FILE = "nbest_predictions.json"
NULL_ODDS_FILE = "null_odds.json"

QuestionScores = Callable[[str, Sequence[str]], dict[str, float]]


class SpanForm:
    """See `form.Form`.

    Args:
      task: the declaration.
      fine_tuned: lengths of the model.
      n_best_size: answers to keep a question.
      null_score_diff_threshold: odds of no answer above which there is none; for tasks that have such questions.
    """

    def __init__(
        self,
        task: Task,
        fine_tuned: TaskConfig,
        n_best_size: int = 20,
        null_score_diff_threshold: float = 0.0,
    ) -> None:
        self.task = task
        self.fine_tuned = fine_tuned
        self.n_best_size = n_best_size
        self.threshold = null_score_diff_threshold
        mixed = self.task.metrics[0] in ("mixed_f1", "mixed_exact_match")
        self._question_scores: QuestionScores = cmrc_metrics.question_scores if mixed else squad_metrics.question_scores

    def read(self, records: Iterable[Record], split: str, files: tuple[str, ...], needs_labels: bool) -> Split:
        examples, counts = read_questions(records, split, needs_labels, self.fine_tuned.null_answers)
        return Split(split, files, examples, counts if needs_labels else {})

    def tokenize(self, split: Split, tokenizer: MultiGrainedTokenizer, fixed_lengths: bool = False) -> None:
        windows = Windows(tokenizer, split.examples, self.fine_tuned, fixed_lengths)
        split.data, split.details = windows.data, windows
        split.counts["windows"] = len(windows.data)

    def answers(self, logits: Logits, split: Split, head: str = "joint") -> list[Answers]:
        """Returns the possible answers to each question by one head's logits."""
        return find_answers(
            split.examples, split.details, logits.by_head[head], self.n_best_size, self.fine_tuned.max_answer_length,
            whole_coarse=head in logits.coarse_heads,
        )  # fmt: skip

    def final(self, answers: Sequence[Answers], threshold: float) -> list[str]:
        """Returns the answer to each question, "" where none is likelier."""
        null = self.fine_tuned.null_answers
        return [
            "" if not found.best or (null and found.null_odds > threshold) else found.best[0].text for found in answers
        ]

    def scores(self, logits: Logits, split: Split, heads: Iterable[str]) -> dict[str, float]:
        results: dict[str, float] = {}
        for head in heads:
            texts = self.final(self.answers(logits, split, head), self.threshold)
            scores = mean_scores(self._question_scores, texts, split.examples)
            results.update({name if head == "joint" else f"{head}_{name}": value for name, value in scores.items()})
        return results

    def table(self, logits: Logits, split: Split) -> list[str]:
        return []

    def write_evaluation(self, output_dir: str, logits: Logits, split: Split) -> dict[str, float]:
        answers = self.answers(logits, split)
        self._write(output_dir, split.examples, answers, self.threshold)
        return self._threshold_results(split.examples, answers) if self.fine_tuned.null_answers else {}

    def write_predictions(self, output_dir: str, logits: Logits, split: Split) -> None:
        answers = self.answers(logits, split)
        texts = self._write(output_dir, split.examples, answers, self.threshold)
        if self.task.leaderboard is not None:
            predictions = [Prediction(e.id, text) for e, text in zip(split.examples, texts, strict=True)]
            write_leaderboard_files(output_dir, self.task.leaderboard, predictions, split.files[0])

    def _write(
        self, output_dir: str, examples: Sequence[SpanExample], answers: Sequence[Answers], threshold: float
    ) -> list[str]:
        """Writes `predictions.json`, `nbest_predictions.json` and, where there is such a thing, `null_odds.json`."""
        texts = self.final(answers, threshold)
        names = [example.id for example in examples]
        write_json(os.path.join(output_dir, PREDICTIONS_FILE), dict(zip(names, texts, strict=True)))
        nbest = {name: self._nbest(found) for name, found in zip(names, answers, strict=True)}
        write_json(os.path.join(output_dir, NBEST_FILE), nbest)
        if self.fine_tuned.null_answers:
            odds = {name: found.null_odds for name, found in zip(names, answers, strict=True)}
            write_json(os.path.join(output_dir, NULL_ODDS_FILE), odds)
        return texts

    def _nbest(self, answers: Answers) -> list[dict[str, str | float | int]]:
        rows: list[tuple[str, float, int, int]] = [tuple(answer) for answer in answers.best]  # type: ignore[misc]
        if self.fine_tuned.null_answers or not rows:
            rows.append(("", answers.null_score, 0, 0))
        rows.sort(key=lambda row: -row[1])
        shares = probabilities([score for _, score, _, _ in rows])
        return [
            {"text": text, "probability": share, "score": score, "start_byte": start, "end_byte": end}
            for (text, score, start, end), share in zip(rows, shares, strict=True)
        ]

    def _threshold_results(self, examples: Sequence[SpanExample], answers: Sequence[Answers]) -> dict[str, float]:
        """Returns the scores at the best threshold, and those of questions with and without an answer."""
        answerable = {example.id: bool(squad_metrics.right_answers(example.answers)[0]) for example in examples}
        odds = {example.id: found.null_odds for example, found in zip(examples, answers, strict=True)}
        best_texts = [found.best[0].text if found.best else "" for found in answers]
        each = [self._question_scores(t, e.answers or ("",)) for t, e in zip(best_texts, examples, strict=True)]
        results: dict[str, float] = {}
        for name in self.task.metrics:
            by_id = {example.id: scores[name] for example, scores in zip(examples, each, strict=True)}
            best, threshold = squad_metrics.best_threshold(by_id, odds, answerable)
            results[f"best_{name}"], results[f"best_{name}_threshold"] = best, threshold
        texts = self.final(answers, self.threshold)
        for kind, wanted in (("has_answer", True), ("no_answer", False)):
            chosen = [i for i, example in enumerate(examples) if answerable[example.id] == wanted]
            results[f"{kind}_questions"] = len(chosen)
            if chosen:
                own = mean_scores(self._question_scores, [texts[i] for i in chosen], [examples[i] for i in chosen])
                results.update({f"{kind}_{name}": value for name, value in own.items()})
        return results


def mean_scores(
    question_scores: QuestionScores, texts: Sequence[str], examples: Sequence[SpanExample]
) -> dict[str, float]:
    """Returns each metric's mean over the questions."""
    scores: list[Mapping[str, float]] = [
        question_scores(text, example.answers or ("",)) for text, example in zip(texts, examples, strict=True)
    ]
    return {name: float(np.mean([score[name] for score in scores])) for name in scores[0]}
