"""Writes the files with scores and predictions."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ambert_tf.outputs import atomic_path
from ambert_tf.tasks.report import EVAL_RESULTS

PREDICTIONS_FILE = "predictions.json"
# With more labels, the table would be too wide to read.
CONFUSION_LABELS = 40


def confusion_table(predicted: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> list[str]:
    """Returns the lines of a confusion matrix, with one row per gold label and one column per predicted label."""
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (labels, predicted), 1)
    width = max(5, *(len(name) for name in names), len(str(counts.max())))
    lines = ["confusion matrix (rows: gold label, columns: predicted label)"]
    lines.append("  ".join(" " * width if i == 0 else names[i - 1].rjust(width) for i in range(len(names) + 1)))
    for name, row in zip(names, counts, strict=True):
        lines.append("  ".join([name.ljust(width), *(str(count).rjust(width) for count in row)]))
    return lines


def label_table(counts: Mapping[tuple[str, str], int], names: Sequence[str]) -> list[str]:
    """Returns the lines of a confusion matrix of counts by right and predicted label."""
    index = {name: number for number, name in enumerate(names)}
    pairs = [(index[right], index[predicted], count) for (right, predicted), count in counts.items()]
    right, predicted, number = np.array(pairs, np.int64).reshape(-1, 3).T
    return confusion_table(np.repeat(predicted, number), np.repeat(right, number), names)


def write_eval_results(output_dir: str, results: Mapping[str, Any], table: Sequence[str] = ()) -> None:
    """Writes `eval_results.json`, and `eval_results.txt` with lines `name = value` and the table."""
    base = os.path.join(output_dir, EVAL_RESULTS)
    write_json(base + ".json", dict(results))
    with atomic_path(base + ".txt") as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.writelines(f"{name} = {value}\n" for name, value in results.items())
        if table:
            file.write("\n" + "".join(line + "\n" for line in table))


def write_json(path: str, value: Any) -> None:
    """Writes a JSON file."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, ensure_ascii=False)
        file.write("\n")


def write_json_list(output_dir: str, objects: Iterable[Mapping[str, Any]], name: str = PREDICTIONS_FILE) -> None:
    """Writes a JSON list, such as `predictions.json`, with one object per line."""
    with atomic_path(os.path.join(output_dir, name)) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write("[")
        for index, value in enumerate(objects):
            file.write((",\n" if index else "\n") + json.dumps(value, ensure_ascii=False))
        file.write("\n]\n")
