"""What one sees of training: a line of progress, `metrics.jsonl`, TensorBoard."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

import numpy as np
import tensorflow as tf
from absl import logging

from ambert_tf.files import atomic_path, make_directory

METRICS_FILE = "metrics.jsonl"
TENSORBOARD_DIRECTORY = "tensorboard"

# Metrics that are amounts a step; they are reported a second.
AMOUNTS = {
    "sequences": "sequences_per_second",
    "tokens": "tokens_per_second",
    "model_flops": "model_flops_per_second",
}
# Metrics whose newest value counts; all others are averaged over the steps since the last line.
NEWEST = ("learning_rate", "loss_scale")
PEAK_SHARE = "peak_share"
SKIPPED_UPDATES = "skipped_updates"
# Names of the metrics of an evaluation begin so.
EVALUATION_PREFIX = "eval_"


class Progress:
    """Reports metrics every `log_steps` steps, and at each checkpoint.

    Because there is a line at each checkpoint, a resumed run's lines are those of an undisturbed one.

    Args:
      output_dir: where `metrics.jsonl` and `tensorboard/` go.
      num_train_steps: the last step.
      start_step: the step from which the run goes on; lines beyond it are from a run that ended before its
        next checkpoint, and are removed.
      log_steps: steps between two lines.
      peak_flops: FLOP/s of the devices' matrix products; with it, `peak_share` is training's share of them.
      stream: where the progress line goes.
      clock: gives the time in seconds.
    """

    def __init__(
        self,
        output_dir: str,
        num_train_steps: int,
        start_step: int = 0,
        log_steps: int = 100,
        peak_flops: float | None = None,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        make_directory(output_dir)
        self.num_train_steps = num_train_steps
        self.log_steps = log_steps
        self.peak_flops = peak_flops
        self._path = os.path.join(output_dir, METRICS_FILE)
        self._stream = stream or sys.stderr
        self._clock = clock
        drop_lines_after(self._path, start_step)
        self._writer = tf.summary.create_file_writer(os.path.join(output_dir, TENSORBOARD_DIRECTORY))
        self._steps: list[dict[str, float]] = []
        self._timed: list[dict[str, float]] = []
        self._seconds = 0.0
        self._since: float | None = None
        self._line_open = False

    def add(self, step: int, metrics: Mapping[str, np.ndarray], flush: bool = False) -> None:
        """Takes the metrics of the steps up to and including `step`.

        Args:
          step: the last of them.
          metrics: each [steps].
          flush: write a line now.
        """
        now = self._clock()
        count = len(metrics["loss"])
        rows = [{name: float(values[index]) for name, values in metrics.items()} for index in range(count)]
        # The first steps of a run trace the graph and have no time of their own.
        seconds = None if self._since is None else (now - self._since) / count
        self._since = now
        first = step - count + 1
        for index, row in enumerate(rows):
            self._steps.append(row)
            if seconds is not None:
                self._timed.append(row)
                self._seconds += seconds
            if (first + index) % self.log_steps == 0 or (flush and index == count - 1):
                self._write(first + index)

    def restart_clock(self) -> None:
        """Leaves the time since the last `add` (of a checkpoint, an evaluation) out of the rates."""
        self._since = self._clock()

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        """Writes one line of other metrics, such as an evaluation's, to `metrics.jsonl` and TensorBoard."""
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        with self._writer.as_default(step=step):
            for name, value in values.items():
                if isinstance(value, int | float):
                    tf.summary.scalar(name, value)
        self._writer.flush()

    def close(self) -> None:
        """Ends the progress line and the files."""
        if self._line_open:
            self._stream.write("\n")
            self._line_open = False
        self._writer.close()

    def _write(self, step: int) -> None:
        values: dict[str, float] = {}
        for name in self._steps[-1]:
            if name in NEWEST:
                values[name] = self._steps[-1][name]
            elif name not in AMOUNTS:
                # A step whose loss or gradient is not finite has no update; JSON has no such numbers either.
                finite = [row[name] for row in self._steps if np.isfinite(row[name])]
                if finite:
                    values[name] = float(np.mean(finite))
        skipped = sum(not all(np.isfinite(value) for value in row.values()) for row in self._steps)
        if skipped:
            values[SKIPPED_UPDATES] = skipped
        for name, rate in AMOUNTS.items():
            if self._timed and name in self._timed[0] and self._seconds:
                values[rate] = sum(row[name] for row in self._timed) / self._seconds
        if self.peak_flops and AMOUNTS["model_flops"] in values:
            values[PEAK_SHARE] = values[AMOUNTS["model_flops"]] / self.peak_flops
        seconds_per_step = self._seconds / len(self._timed) if self._timed else None
        self._steps, self._timed, self._seconds = [], [], 0.0
        self.write(step, values)
        self._show(step, values, seconds_per_step)

    def _show(self, step: int, values: Mapping[str, float], seconds_per_step: float | None) -> None:
        parts = [f"step {step}/{self.num_train_steps}"]
        for name, value in values.items():
            if name.endswith("_per_second"):
                unit = name.removesuffix("_per_second")
                parts.append(f"{value / 1e9:.1f} GFLOP/s" if unit == "model_flops" else f"{value:.4g} {unit}/s")
            elif name == PEAK_SHARE:
                parts.append(f"{100 * value:.0f} % of peak")
            else:
                parts.append(f"{name.replace('_masked_lm', '').replace('_', ' ')} {value:.4g}")
        if seconds_per_step is not None:
            parts.append(f"{_duration(seconds_per_step * (self.num_train_steps - step))} left")
        line = "  ".join(parts)
        if self._stream.isatty():
            self._stream.write(f"\r\x1b[K{line}")
            self._stream.flush()
            self._line_open = True
        else:
            logging.info("%s", line)


def drop_lines_after(path: str, step: int) -> None:
    """Removes from a `metrics.jsonl` the lines of steps after `step`, and a last line that is cut off."""
    if not os.path.exists(path):
        return
    kept = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            try:
                if line.endswith("\n") and json.loads(line)["step"] <= step:
                    kept.append(line)
            except (json.JSONDecodeError, KeyError, TypeError):
                continue
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.writelines(kept)


def has_evaluation(output_dir: str, step: int) -> bool:
    """Returns whether `metrics.jsonl` of a run has a line of the evaluation at a step."""
    path = os.path.join(output_dir, METRICS_FILE)
    if not os.path.exists(path):
        return False
    with open(path, encoding="utf-8") as file:
        for line in file:
            try:
                values = json.loads(line)
                if values["step"] == step and any(name.startswith(EVALUATION_PREFIX) for name in values):
                    return True
            except (json.JSONDecodeError, KeyError, TypeError):
                continue
    return False


def _duration(seconds: float) -> str:
    minutes, hours = int(seconds) // 60, int(seconds) // 3600
    if hours >= 24:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h {minutes % 60:02d} min" if hours else f"{minutes} min {int(seconds) % 60:02d} s"
