"""Loads a SavedModel in a process that has only tensorflow and tensorflow_text; compares it with its checkpoint."""

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

# Float32 sums in another order; a score is a sum of logits, which are larger than probabilities.
TOLERANCE = {"probabilities": 1e-5, "score": 1e-4, "null_odds": 1e-4}
LARGEST_LOSS = 0.002  # of accuracy, by smaller weights
LATENCY_BATCHES = (1, 32)
LATENCY_RUNS = 10

# The script of the other process. It takes a SavedModel, a file with a request and a file for what comes out.
CLIENT = """
import json, statistics, sys, time
sys.modules["ambert_tf"] = None  # import ambert_tf now fails
import tensorflow as tf
import tensorflow_text
saved_model, inputs, outputs = sys.argv[1:]
with open(inputs, encoding="utf-8") as file:
    request = json.load(file)
started = time.perf_counter()
signature = tf.saved_model.load(saved_model).signatures[request["signature"]]
load_seconds = time.perf_counter() - started
dtypes = {name: spec.dtype for name, spec in signature.structured_input_signature[1].items()}
columns = request["columns"]
count = min(map(len, columns.values()))
def ask(rows):
    return signature(**{name: tf.constant([column[row] for row in rows], dtypes[name])
                        for name, column in columns.items()})
parts = [ask(range(start, min(start + 32, count))) for start in range(0, count, 32)] or [ask([])]
def plain(values):
    return [value.decode("utf-8", "replace") for value in values] if values.dtype == object else values.tolist()
result = {name: sum((plain(part[name].numpy()) for part in parts), []) for name in parts[0]}
seconds = {}
for size in request["latency_batches"]:
    rows = [[(run * size + row) % count for row in range(size)] for run in range(request["latency_runs"])]
    for batch in rows:
        ask(batch)
    times = []
    for batch in rows:
        started = time.perf_counter()
        ask(batch)
        times.append(time.perf_counter() - started)
    seconds[size] = statistics.median(times)
with open("/proc/self/status", encoding="utf-8") as file:
    memory = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
with open(outputs, "w", encoding="utf-8") as file:
    json.dump({"result": result, "load_seconds": load_seconds, "seconds": seconds, "memory_mb": memory / 1024}, file)
"""

Columns = Mapping[str, Sequence[Any]]


class Report(NamedTuple):
    """What a check found.

    Attributes:
      examples: how many.
      difference: the largest, of probabilities or scores.
      same: share of examples with the same label, score, choice or answer.
      accuracy: of the SavedModel and of the checkpoint, where right labels, choices or answers are known; of scores the
        Pearson correlation.
      load_seconds: to load it.
      latency_seconds: median by batch size.
      memory_mb: most memory of the process.
    """

    examples: int
    difference: float
    same: float
    accuracy: tuple[float, float] | None
    load_seconds: float
    latency_seconds: Mapping[int, float]
    memory_mb: float


def ask_saved_model(
    saved_model: str, columns: Columns, signature: str = SERVING_DEFAULT, latency_runs: int = 0
) -> dict[str, Any]:
    """Asks a SavedModel in a process of its own, in which `import ambert_tf` fails.

    Args:
      saved_model: its directory.
      columns: values by the signature's input, all as many.
      signature: its name.
      latency_runs: how often to measure a batch of 1 and of 32; 0 for not.

    Returns:
      The outputs by name, numpy arrays or lists of strings; and under `measured` the rest of what the process tells.

    Raises:
      InputError: the process fails; the message has the end of what it said.
    """
    with tempfile.TemporaryDirectory() as directory:
        inputs, outputs = (os.path.join(directory, name) for name in ("inputs.json", "outputs.json"))
        with open(inputs, "w", encoding="utf-8") as file:
            json.dump({
                "signature": signature, "columns": {name: list(values) for name, values in columns.items()},
                "latency_batches": LATENCY_BATCHES if latency_runs else (), "latency_runs": latency_runs,
            }, file)  # fmt: skip
        # -I: no current directory and no PYTHONPATH to import from.
        command = [sys.executable, "-I", "-c", CLIENT, os.path.abspath(saved_model), inputs, outputs]
        process = subprocess.run(command, capture_output=True, text=True, cwd=directory)
        if process.returncode:
            raise InputError(
                f"{saved_model}: cannot be loaded and run with tensorflow and tensorflow_text alone: "
                f"{one_line(RuntimeError(process.stderr[-500:]))}"
            )
        with open(outputs, encoding="utf-8") as file:
            measured = json.load(file)
    result: dict[str, Any] = {
        name: values if values and isinstance(values[0], str) else np.array(values)
        for name, values in measured.pop("result").items()
    }
    return {**result, "measured": measured}


def reference(served: ServedModel, columns: Columns, batch_size: int = 32) -> dict[str, Any]:
    """Returns what a model of this process predicts, as `ask_saved_model` does."""
    function, specs = served.functions[SERVING_DEFAULT], served.specs[SERVING_DEFAULT]
    count = len(next(iter(columns.values())))
    parts = []
    for start in range(0, count, batch_size):
        rows = slice(start, start + batch_size)
        parts.append(function(*(tf.constant(columns[name][rows], spec.dtype) for name, spec in specs.items())))
    joined = {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]}
    return {
        name: [value.decode("utf-8", "replace") for value in values] if values.dtype == object else values
        for name, values in joined.items()
    }


def check_saved_model(
    saved_model: str, served: ServedModel, columns: Columns, right: Sequence[Any] | None = None, exact: bool = True
) -> Report:
    """Compares a SavedModel with its checkpoint.

    Args:
      saved_model: its directory.
      served: the checkpoint's model, float32.
      columns: inputs by name, see `check_inputs`.
      right: the right labels, choices, answers or scores, where they are known.
      exact: the weights are the checkpoint's; otherwise what may differ is bounded by accuracy alone.

    Raises:
      InputError: it cannot be run, something is not finite, or differs by more than it may.
    """
    expected = reference(served, columns)
    found = ask_saved_model(saved_model, columns, latency_runs=LATENCY_RUNS)
    measured = found.pop("measured")
    largest, same = 0.0, np.ones(len(next(iter(columns.values()))), bool)
    for name, theirs in expected.items():
        if name not in TOLERANCE:
            same &= np.array(found[name]) == np.array(theirs)
            continue
        difference = float(np.abs(found[name] - theirs).max(initial=0.0))
        largest = max(largest, difference) if np.isfinite(difference) else float("nan")
        if not np.isfinite(found[name]).all() or (exact and not difference <= TOLERANCE[name]):
            raise InputError(f"{saved_model}: its {name} differs from the checkpoint's by {difference:.1e}")
    if exact and not same.all():
        at = int(np.flatnonzero(~same)[0])
        raise InputError(f"{saved_model}: answers example {at + 1} otherwise than the checkpoint")
    accuracy = None
    key = next(name for name in ("label", "choice", "answer", "score") if name in expected)
    if right is not None:
        ours, theirs = (_accuracy(key, values[key], right) for values in (found, expected))
        accuracy = ours, theirs
        if theirs - ours > LARGEST_LOSS:
            raise InputError(
                f"--weights_dtype: accuracy on --check_file falls from {theirs:.4f} to {ours:.4f}, by more than "
                f"{LARGEST_LOSS}; take larger weights"
            )
    seconds = {int(size): value for size, value in measured["seconds"].items()}
    return Report(
        len(same), largest, float(same.mean()), accuracy, measured["load_seconds"], seconds, measured["memory_mb"]
    )


def _accuracy(key: str, predicted: Sequence[Any], right: Sequence[Any]) -> float:
    """Returns the share of predictions that are right, or of scores the Pearson correlation."""
    if key == "score":
        return float(np.corrcoef(np.array(predicted, float), np.array(right, float))[0, 1])
    return float(np.mean(np.array(predicted) == np.array(right)))
