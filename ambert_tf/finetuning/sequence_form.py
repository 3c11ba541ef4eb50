"""Classification, regression and multiple choice: one prediction an example."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from ambert_tf.finetuning.form import Split
from ambert_tf.finetuning.prediction import Logits
from ambert_tf.finetuning.result_files import (
    CONFUSION_LABELS,
    confusion_table,
    probabilities_of,
    write_json_list,
)
from ambert_tf.finetuning.tokenized import tokenize_examples
from ambert_tf.models.task_config import CLASSIFICATION, MULTIPLE_CHOICE, NO_AUGMENTATION, REGRESSION, TaskConfig
from ambert_tf.tasks import metrics
from ambert_tf.tasks.declaration import Example, ReadOptions, Task
from ambert_tf.tasks.json_lines import Record
from ambert_tf.tasks.labelled_examples import read_examples
from ambert_tf.tasks.leaderboard import Prediction, write_leaderboard_files
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer


class SequenceForm:
    """See `form.Form`.

    Args:
      task: the declaration.
      fine_tuned: labels and lengths of the model.
    """

    def __init__(self, task: Task, fine_tuned: TaskConfig) -> None:
        self.task = task
        self.fine_tuned = fine_tuned

    def read(self, records: Iterable[Record], split: str, files: tuple[str, ...], needs_labels: bool) -> Split:
        task = self.fine_tuned
        options = ReadOptions(task.data_augmentation != NO_AUGMENTATION, task.max_seq_length)
        examples, left_out = read_examples(self.task, records, split, task.labels, options, needs_labels)
        return Split(split, files, examples, {"left_out_without_gold_label": left_out} if left_out else {})

    def tokenize(self, split: Split, tokenizer: MultiGrainedTokenizer, fixed_lengths: bool = False) -> None:
        task = self.fine_tuned
        choices = 0
        if task.form == MULTIPLE_CHOICE:
            choices = max(task.choices, max(len(example.rows) for example in split.examples))
        split.data = tokenize_examples(
            tokenizer,
            split.examples,
            (task.max_seq_length, task.max_coarse_seq_length),
            fixed_lengths,
            choices,
            np.float32 if task.form == REGRESSION else np.int32,
        )

    def predicted(self, logits: np.ndarray, examples: Sequence[Example]) -> np.ndarray:
        """Returns the index of each label or choice, or each score."""
        if self.fine_tuned.form == REGRESSION:
            low, high = self.task.score_range or (-np.inf, np.inf)
            return np.clip(logits[:, 0], low, high)
        if self.fine_tuned.form == MULTIPLE_CHOICE:
            return joint_choices(logits, [example.group for example in examples])
        return logits.argmax(axis=-1)

    def scores(self, logits: Logits, split: Split, heads: Iterable[str]) -> dict[str, float]:
        assert split.data is not None
        right = split.data.targets["label"]
        positive = 1
        if self.task.positive_label in self.fine_tuned.labels:
            positive = self.fine_tuned.labels.index(str(self.task.positive_label))
        results: dict[str, float] = {}
        for head in heads:
            predicted = self.predicted(logits.by_head[head], split.examples)
            scores = metrics.score(self.task.metrics, predicted, right, positive)
            results.update({name if head == "joint" else f"{head}_{name}": value for name, value in scores.items()})
        if self.fine_tuned.form == CLASSIFICATION:
            results["most_frequent_accuracy"] = float(np.bincount(right).max() / len(right))
        return results

    def table(self, logits: Logits, split: Split) -> list[str]:
        assert split.data is not None
        labels = self.fine_tuned.labels
        if self.fine_tuned.form != CLASSIFICATION or len(labels) > CONFUSION_LABELS:
            return []
        predicted = self.predicted(logits.by_head["joint"], split.examples)
        return confusion_table(predicted, split.data.targets["label"], labels)

    def write_evaluation(self, output_dir: str, logits: Logits, split: Split) -> dict[str, float]:
        return {}

    def write_predictions(self, output_dir: str, logits: Logits, split: Split) -> None:
        joint = logits.by_head["joint"]
        predicted = self.predicted(joint, split.examples)
        write_json_list(output_dir, self._objects(split.examples, joint, predicted))
        if self.task.leaderboard is None:
            return
        task = self.fine_tuned
        predictions = []
        for example, value in zip(split.examples, predicted, strict=True):
            if task.form == CLASSIFICATION:
                description = task.label_descriptions[value] if task.label_descriptions else ""
                predictions.append(Prediction(example.id, task.labels[value], description))
            else:
                predictions.append(Prediction(example.id, value.item()))
        write_leaderboard_files(output_dir, self.task.leaderboard, predictions, split.files[0])

    def _objects(
        self, examples: Sequence[Example], logits: np.ndarray, predicted: np.ndarray
    ) -> Iterable[dict[str, Any]]:
        """Yields the objects of `predictions.json`: `label` and `probabilities` by label, `score`, or `choice`."""
        if self.fine_tuned.form == REGRESSION:
            for example, score in zip(examples, predicted, strict=True):
                yield {"id": example.id, "score": float(score)}
            return
        labels = self.fine_tuned.labels
        for example, row, value in zip(examples, probabilities_of(logits), predicted, strict=True):
            if self.fine_tuned.form == MULTIPLE_CHOICE:
                shares = [float(share) for share in row[: len(example.rows)]]
                yield {"id": example.id, "choice": int(value), "probabilities": shares}
            else:
                shares_by_label = dict(zip(labels, map(float, row), strict=True))
                yield {"id": example.id, "label": labels[value], "probabilities": shares_by_label}


def joint_choices(logits: np.ndarray, groups: Sequence[int | str | None]) -> np.ndarray:
    """Returns the choice of each example, int [examples].

    Examples of one group choose among the same candidates, each of which fits one blank at most (ChID): theirs are the
    different choices whose log probabilities have the highest sum.

    Args:
      logits: float32 [examples, choices].
      groups: of each example; None for one by itself.
    """
    chosen = logits.argmax(axis=-1)
    members: dict[int | str, list[int]] = {}
    for index, group in enumerate(groups):
        if group is not None:
            members.setdefault(group, []).append(index)
    for rows in members.values():
        if 1 < len(rows) <= logits.shape[1]:
            # float64: the softmax' logarithm of a choice that is far behind must stay finite.
            own = logits[rows].astype(np.float64)
            log_probabilities = own - np.logaddexp.reduce(own, axis=-1, keepdims=True)
            chosen[rows] = linear_sum_assignment(-log_probabilities)[1]
    return chosen
