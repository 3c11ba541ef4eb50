"""Scores of a classifier, and the files that hold them and its predictions."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ambert_tf.files import atomic_path
from ambert_tf.modeling.losses import classification_loss
from ambert_tf.tasks.declaration import Example
from ambert_tf.training.fine_tuned import FineTunedTask

EVAL_RESULTS = "eval_results"
PREDICTIONS_FILE = "predictions.json"
# A wider table is no longer read.
CONFUSION_LABELS = 40


def scores(
    logits: Mapping[str, np.ndarray], labels: np.ndarray, agreement: Mapping[str, Any] | None = None
) -> dict[str, float]:
    """Returns the accuracy of each head and the parts of eq. (2) over a data set.

    Args:
      logits: float32 [examples, classes] by head.
      labels: int32 [examples].
      agreement: `classification_loss`' arguments of that name.

    Returns:
      `accuracy` (the joint head's, or the only one's), `g_accuracy` of each head where there are three, `loss` and
      its parts, and `most_frequent_accuracy`, that of always giving the most frequent label.
    """
    accuracies = {name: float(np.mean(values.argmax(axis=-1) == labels)) for name, values in logits.items()}
    results = {"accuracy": accuracies["joint"]}
    if len(logits) > 2:
        results.update({f"{name}_accuracy": value for name, value in accuracies.items()})
    loss, parts = classification_loss(
        {name: tf.constant(values) for name, values in logits.items()}, tf.constant(labels), **(agreement or {})
    )
    results["loss"] = float(loss)
    results.update({name: float(value) for name, value in parts.items()})
    results["most_frequent_accuracy"] = float(np.bincount(labels).max() / len(labels))
    results["examples"] = len(labels)
    return results


def probabilities_of(logits: np.ndarray) -> np.ndarray:
    """Returns the softmax over the last axis, float32, by the same operation as the SavedModel's."""
    return tf.nn.softmax(tf.constant(logits)).numpy()


def confusion_table(predicted: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> list[str]:
    """Returns the lines of a table of counts: a row for each right label, a column for each predicted one."""
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (labels, predicted), 1)
    width = max(5, *(len(name) for name in names), len(str(counts.max())))
    lines = ["confusion table (rows: right label, columns: predicted label)"]
    lines.append("  ".join(" " * width if i == 0 else names[i - 1].rjust(width) for i in range(len(names) + 1)))
    for name, row in zip(names, counts, strict=True):
        lines.append("  ".join([name.ljust(width), *(str(count).rjust(width) for count in row)]))
    return lines


def write_eval_results(output_dir: str, results: Mapping[str, Any], table: Sequence[str]) -> None:
    """Writes `eval_results.json`, and the same with a table as `eval_results.txt`, one `name = value` a line."""
    base = os.path.join(output_dir, EVAL_RESULTS)
    with atomic_path(base + ".json") as temporary, open(temporary, "w", encoding="utf-8") as file:
        json.dump(dict(results), file, indent=2, ensure_ascii=False)
        file.write("\n")
    with atomic_path(base + ".txt") as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.writelines(f"{name} = {value}\n" for name, value in results.items())
        if table:
            file.write("\n" + "".join(line + "\n" for line in table))


def write_predictions(
    output_dir: str, examples: Sequence[Example], probabilities: np.ndarray, labels: Sequence[str]
) -> None:
    """Writes `predictions.json`: a list of objects with `id`, `label` and `probabilities` by label.

    Args:
      output_dir: where to.
      examples: whose ids they are.
      probabilities: float32 [examples, classes], written with all their digits.
      labels: in the order of the classes.
    """
    path = os.path.join(output_dir, PREDICTIONS_FILE)
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write("[")
        for index, (example, row) in enumerate(zip(examples, probabilities, strict=True)):
            prediction = {
                "id": example.id,
                "label": labels[int(row.argmax())],
                "probabilities": dict(zip(labels, map(float, row), strict=True)),
            }
            file.write((",\n" if index else "\n") + json.dumps(prediction, ensure_ascii=False))
        file.write("\n]\n")


def write_leaderboard_file(path: str, task: FineTunedTask, examples: Sequence[Example], predicted: np.ndarray) -> None:
    """Writes what CLUE's leaderboard takes: JSON lines with `id`, `label` and, where there is one, `label_desc`.

    Args:
      path: the file.
      task: its labels.
      examples: whose ids they are.
      predicted: int [examples], indices of labels.
    """
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        for example, index in zip(examples, predicted, strict=True):
            line: dict[str, Any] = {"id": example.id, "label": task.labels[index]}
            if task.label_descriptions:
                line["label_desc"] = task.label_descriptions[index]
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
