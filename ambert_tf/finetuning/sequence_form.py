"""Classification, regression and multiple choice: one prediction per example."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.optimize import linear_sum_assignment

from ambert_tf.finetuning.form import Form, Logits
from ambert_tf.finetuning.result_files import CONFUSION_LABELS, confusion_table, write_json_list
from ambert_tf.finetuning.splits import Split
from ambert_tf.finetuning.tokenized_examples import TokenizedExamples
from ambert_tf.models.classification_heads import MASKED_LOGIT
from ambert_tf.models.task_answers import sequence_predictions
from ambert_tf.models.task_config import CLASSIFICATION, MULTIPLE_CHOICE, NO_AUGMENTATION, REGRESSION
from ambert_tf.tasks import metrics
from ambert_tf.tasks.declaration import Choices, Example, ReadOptions
from ambert_tf.tasks.json_lines import Record
from ambert_tf.tasks.labelled_examples import read_examples
from ambert_tf.tasks.leaderboard import Prediction, write_leaderboard_files


class SequenceForm(Form):
    """See `Form`."""

    def read(self, records: Iterable[Record], split: str, files: tuple[str, ...], needs_labels: bool) -> Split:
        options = ReadOptions(self.config.data_augmentation != NO_AUGMENTATION)
        examples, left_out = read_examples(self.task, records, split, self.config.labels, options, needs_labels)
        return Split(split, files, examples, {"left_out_without_gold_label": left_out} if left_out else {})

    def predict(self, logits: np.ndarray, examples: Sequence[Example]) -> dict[str, np.ndarray]:
        """Returns `prediction`, the index of each label or choice, and `probabilities`; or `score`.

        The choices of a group are assigned jointly; see `joint_choices`.
        """
        outputs = sequence_predictions(self.config, tf.constant(logits))
        found = {name: values.numpy() for name, values in outputs.items()}
        if self.config.form == MULTIPLE_CHOICE:
            found["prediction"] = joint_choices(logits, [example.group for example in examples])
        return found

    def predicted(self, logits: np.ndarray, examples: Sequence[Example]) -> np.ndarray:
        """Returns the index of each label or choice, or each score."""
        found = self.predict(logits, examples)
        return found["score" if self.config.form == REGRESSION else "prediction"]

    def scores(self, logits: Logits, data: TokenizedExamples, heads: Iterable[str]) -> dict[str, float]:
        right = data.targets["label"]
        positive = 1
        if self.task.positive_label in self.config.labels:
            positive = self.config.labels.index(str(self.task.positive_label))
        results: dict[str, float] = {}
        for head in heads:
            predicted = self.predicted(logits.by_head[head], data.split.examples)
            scores = metrics.score(self.task.metrics, predicted, right, positive)
            results.update({name if head == "joint" else f"{head}_{name}": value for name, value in scores.items()})
        if self.config.form == CLASSIFICATION:
            results["most_frequent_accuracy"] = float(np.bincount(right).max() / len(right))
        return results

    def table(self, logits: Logits, data: TokenizedExamples) -> list[str]:
        labels = self.config.labels
        if self.config.form != CLASSIFICATION or len(labels) > CONFUSION_LABELS:
            return []
        predicted = self.predicted(logits.by_head["joint"], data.split.examples)
        return confusion_table(predicted, data.targets["label"], labels)

    def write_predictions(self, output_dir: str, logits: Logits, data: TokenizedExamples) -> None:
        examples, config = data.split.examples, self.config
        found = self.predict(logits.by_head["joint"], examples)
        write_json_list(output_dir, self._objects(examples, found))
        if self.task.leaderboard is None:
            return
        predictions = []
        for row, example in enumerate(examples):
            if config.form == CLASSIFICATION:
                label = found["prediction"][row]
                description = config.label_descriptions[label] if config.label_descriptions else ""
                predictions.append(Prediction(example.id, config.labels[label], description))
            else:
                values = found["score" if config.form == REGRESSION else "prediction"]
                predictions.append(Prediction(example.id, values[row].item()))
        write_leaderboard_files(output_dir, self.task.leaderboard, predictions, data.split.files[0])

    def _objects(self, examples: Sequence[Example], found: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
        """Yields the objects of `predictions.json`: `label` and `probabilities` by label, `score`, or `choice`."""
        for row, example in enumerate(examples):
            if self.config.form == REGRESSION:
                yield {"id": example.id, "score": float(found["score"][row])}
                continue
            prediction, shares = int(found["prediction"][row]), [float(share) for share in found["probabilities"][row]]
            if self.config.form == MULTIPLE_CHOICE:
                assert isinstance(example.inputs, Choices)
                count = len(example.inputs.choices)
                yield {"id": example.id, "choice": prediction, "probabilities": shares[:count]}
            else:
                labels = self.config.labels
                by_label = dict(zip(labels, shares, strict=True))
                yield {"id": example.id, "label": labels[prediction], "probabilities": by_label}


def joint_choices(logits: np.ndarray, groups: Sequence[int | str | None]) -> np.ndarray:
    """Returns the choice of each example, int [examples].

    In ChID, the examples of a group share their candidates, and each candidate fits at most one blank. They are
    therefore assigned different choices, with the highest sum of log probabilities. If there are more examples than
    candidates, each gets its best choice.

    Args:
      logits: float32 [examples, choices], `MASKED_LOGIT` for a missing choice.
      groups: the group of each example, or None.
    """
    chosen = logits.argmax(axis=-1)
    members: dict[int | str, list[int]] = {}
    for index, group in enumerate(groups):
        if group is not None:
            members.setdefault(group, []).append(index)
    for rows in members.values():
        # float64, so that the log probabilities of unlikely choices are finite.
        own = logits[rows].astype(np.float64)
        if 1 < len(rows) <= np.min(np.sum(own > MASKED_LOGIT, axis=-1)):
            log_probabilities = own - np.logaddexp.reduce(own, axis=-1, keepdims=True)
            chosen[rows] = linear_sum_assignment(-log_probabilities)[1]
    return chosen
