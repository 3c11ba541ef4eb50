"""Verifies a SavedModel: loads it in a separate process without this package, and compares it with its checkpoint."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ambert_tf.errors import InputError, one_line
from ambert_tf.serving.served_model import SERVING_DEFAULT, ServedModel

# Float32 sums differ by their order. Scores are sums of logits, which are larger than probabilities.
TOLERANCE = {"probabilities": 1e-5, "score": 1e-4, "null_odds": 1e-4}
LATENCY_BATCHES = (1, 32)
LATENCY_RUNS = 10

CLIENT = os.path.join(os.path.dirname(__file__), "check_client.py")

Columns = Mapping[str, Sequence[Any]]


class Report(NamedTuple):
    """The result of a check.

    Attributes:
      examples: number of examples.
      difference: the maximum difference of probabilities or scores.
      accuracy: accuracy, or Pearson's correlation for scores. None if the gold labels are unknown.
      load_seconds: time to load the model.
      latency_seconds: median latency by batch size.
      memory_mb: peak memory of the process.
    """

    examples: int
    difference: float
    accuracy: float | None
    load_seconds: float
    latency_seconds: Mapping[int, float]
    memory_mb: float


def ask_saved_model(
    saved_model: str, columns: Columns, signature: str = SERVING_DEFAULT, latency_runs: int = 0
) -> dict[str, Any]:
    """Runs a SavedModel in a separate process in which `import ambert_tf` fails.

    Args:
      saved_model: its directory.
      columns: values by input of the signature, all of the same length.
      signature: name of the signature.
      latency_runs: number of timed batches of sizes 1 and 32, or 0 for none.

    Returns:
      The outputs by name, NumPy arrays or lists of strings, and `measured`, the measurements of the process. The rows
      of ragged outputs are joined, and `count` contains their lengths.

    Raises:
      InputError: the process failed. The message ends with its last output.
    """
    with tempfile.TemporaryDirectory() as directory:
        inputs, outputs = (os.path.join(directory, name) for name in ("inputs.json", "outputs.json"))
        with open(inputs, "w", encoding="utf-8") as file:
            json.dump({
                "signature": signature, "columns": {name: list(values) for name, values in columns.items()},
                "latency_batches": LATENCY_BATCHES if latency_runs else (), "latency_runs": latency_runs,
            }, file)  # fmt: skip
        # -I: import neither from the current directory nor from PYTHONPATH.
        command = [sys.executable, "-I", CLIENT, os.path.abspath(saved_model), inputs, outputs]
        process = subprocess.run(command, capture_output=True, text=True, cwd=directory)
        if process.returncode:
            raise InputError(
                f"{saved_model}: cannot be loaded and run with tensorflow and tensorflow_text alone: "
                f"{one_line(RuntimeError(process.stderr[-500:]))}"
            )
        with open(outputs, encoding="utf-8") as file:
            measured = json.load(file)
    found = measured.pop("result")
    result: dict[str, Any] = {
        name: values if values and isinstance(values[0], str) else np.array(values) for name, values in found.items()
    }
    return {**result, "measured": measured}


def reference(served: ServedModel, columns: Columns, batch_size: int = 32) -> dict[str, Any]:
    """Returns the predictions of a model in this process, in the format of `ask_saved_model`."""
    function, specs = served.functions[SERVING_DEFAULT], served.specs[SERVING_DEFAULT]
    count = len(next(iter(columns.values())))
    parts = []
    for start in range(0, count, batch_size):
        rows = slice(start, start + batch_size)
        parts.append(function(*(tf.constant(columns[name][rows], spec.dtype) for name, spec in specs.items())))
    joined = {}
    for name, first in parts[0].items():
        values = [part[name] for part in parts]
        if isinstance(first, tf.RaggedTensor):
            joined["count"] = [length for value in values for length in value.row_lengths().numpy()]
            values = [value.flat_values for value in values]
        joined[name] = [row for value in values for row in value.numpy()]
    return {
        name: [value.decode("utf-8", "replace") for value in values]
        if values and isinstance(values[0], bytes)
        else np.array(values)
        for name, values in joined.items()
    }


def check_saved_model(
    saved_model: str, served: ServedModel, columns: Columns, right: Sequence[Any] | None = None
) -> Report:
    """Compares a SavedModel with its checkpoint.

    Args:
      saved_model: its directory.
      served: the checkpoint's model.
      columns: inputs by name; see `check_inputs`.
      right: the gold labels, choices, answers or scores, if known.

    Raises:
      InputError: the SavedModel does not run, or its outputs are not finite or differ from the checkpoint's.
    """
    expected = reference(served, columns)
    found = ask_saved_model(saved_model, columns, latency_runs=LATENCY_RUNS)
    measured = found.pop("measured")
    largest = 0.0
    # Counts first, so that spans are compared one by one.
    for name, theirs in sorted(expected.items(), key=lambda item: item[0] != "count"):
        if name in TOLERANCE:
            difference = float(np.abs(found[name] - theirs).max(initial=0.0))
            if not difference <= TOLERANCE[name]:
                raise InputError(f"{saved_model}: its {name} differs from the checkpoint's by {difference:.1e}")
            largest = max(largest, difference)
        elif len(found[name]) != len(theirs):
            raise InputError(f"{saved_model}: it finds {len(found[name])} spans, the checkpoint {len(theirs)}")
        elif wrong := [row for row in range(len(theirs)) if found[name][row] != theirs[row]]:
            raise InputError(f"{saved_model}: its {name} of example {wrong[0] + 1} differs from the checkpoint's")
    accuracy = None
    if right is not None:
        key = next(name for name in ("label", "choice", "answer", "score") if name in found)
        accuracy = _accuracy(key, found[key], right)
    seconds = {int(size): value for size, value in measured["seconds"].items()}
    count = len(next(iter(columns.values())))
    return Report(count, largest, accuracy, measured["load_seconds"], seconds, measured["memory_mb"])


def _accuracy(key: str, predicted: Sequence[Any], right: Sequence[Any]) -> float | None:
    """Returns the accuracy of the predictions whose right values are known, or Pearson's correlation for scores."""
    pairs = [pair for pair in zip(predicted, right, strict=True) if pair[1] is not None]
    ours, gold = (list(values) for values in zip(*pairs, strict=True))
    if key != "score":
        return float(np.mean(np.array(ours) == np.array(gold)))
    if len(pairs) < 2 or np.ptp(ours) == 0 or np.ptp(gold) == 0:
        return None  # undefined
    return float(np.corrcoef(np.array(ours, float), np.array(gold, float))[0, 1])
