"""Reports the progress of training: the progress line, `metrics.jsonl`, and TensorBoard."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

import numpy as np
import tensorflow as tf
from absl import logging

from ambert_tf.files import exists, parse_json, read_bytes
from ambert_tf.outputs import atomic_path, make_directory
from ambert_tf.training.settings import EVALUATION_PREFIX, METRICS_FILE

TENSORBOARD_DIRECTORY = "tensorboard"

# Metrics that are counts per step, and the names of their rates per second.
AMOUNTS = {
    "sequences": "sequences_per_second",
    "tokens": "tokens_per_second",
    "model_flops": "model_flops_per_second",
}
# Metrics whose latest value is reported. All others are averaged over the steps since the last line.
NEWEST = ("learning_rate", "loss_scale")
MFU = "mfu"
SKIPPED_STEPS = "skipped_steps"


class Progress:
    """Reports metrics every `log_steps` steps, and at each checkpoint.

    Because of the line at each checkpoint, a resumed run writes the same lines as an uninterrupted one.

    Args:
      output_dir: directory of `metrics.jsonl` and `tensorboard/`.
      num_train_steps: the last step.
      start_step: the step from which the run resumes. Existing lines of later steps are removed, and TensorBoard hides
        them, because the resumed run repeats these steps.
      log_steps: steps between lines.
      measure_peak: measures the FLOP/s of a matrix product on all devices, for MFU. The maximum of several calls is
        used, because other programs may use the machine during a call. If training exceeds this value, the measurement
        is wrong, and no MFU is reported.
      stream: stream of the progress line.
      clock: returns the time in seconds.
    """

    def __init__(
        self,
        output_dir: str,
        num_train_steps: int,
        start_step: int = 0,
        log_steps: int = 100,
        measure_peak: Callable[[], float] | None = None,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        make_directory(output_dir)
        self.num_train_steps = num_train_steps
        self.log_steps = log_steps
        self._measure_peak = measure_peak
        self.peak_flops = measure_peak() if measure_peak is not None else 0.0
        self._path = os.path.join(output_dir, METRICS_FILE)
        self._stream = stream or sys.stderr
        self._clock = clock
        drop_lines_after(self._path, start_step)
        # Also from the first step, because a run may have been killed before its first checkpoint.
        self._events = EventFile(os.path.join(output_dir, TENSORBOARD_DIRECTORY), start_step + 1)
        self._steps: list[dict[str, float]] = []
        self._timed: list[dict[str, float]] = []
        self._seconds = 0.0
        self._since: float | None = None
        self._line_open = False

    def add(self, step: int, metrics: Mapping[str, np.ndarray], flush: bool = False) -> None:
        """Adds the metrics of the steps up to and including `step`.

        Args:
          step: the last step.
          metrics: metrics by name, each [steps].
          flush: whether to write a line now.
        """
        now = self._clock()
        count = len(metrics["loss"])
        rows = [{name: float(values[index]) for name, values in metrics.items()} for index in range(count)]
        # The first call traces the graph, so its time is excluded.
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
        """Excludes the time since the last `add`, such as that of a checkpoint or evaluation, from the rates."""
        if self._measure_peak is not None:
            self.peak_flops = max(self.peak_flops, self._measure_peak())
        self._since = self._clock()

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        """Writes other metrics, such as those of an evaluation, as one line of `metrics.jsonl` and to TensorBoard."""
        with tf.io.gfile.GFile(self._path, "a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        self._events.write(step, {name: value for name, value in values.items() if isinstance(value, int | float)})

    def close(self) -> None:
        """Ends the progress line and closes the files."""
        if self._line_open:
            self._stream.write("\n")
            self._line_open = False
        self._events.close()

    def _write(self, step: int) -> None:
        values: dict[str, float] = {}
        for name in self._steps[-1]:
            if name in NEWEST:
                values[name] = self._steps[-1][name]
            elif name not in AMOUNTS:
                # Leave out non-finite values. These steps were skipped, and JSON cannot represent the values.
                finite = [row[name] for row in self._steps if np.isfinite(row[name])]
                if finite:
                    values[name] = float(np.mean(finite))
        skipped = sum(not all(np.isfinite(value) for value in row.values()) for row in self._steps)
        if skipped:
            values[SKIPPED_STEPS] = skipped
        for name, rate in AMOUNTS.items():
            if self._timed and name in self._timed[0] and self._seconds:
                values[rate] = sum(row[name] for row in self._timed) / self._seconds
        flops = values.get(AMOUNTS["model_flops"], 0.0)
        if 0 < flops <= self.peak_flops:
            values[MFU] = flops / self.peak_flops
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
            elif name == MFU:
                parts.append(f"MFU {100 * value:.0f} %")
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


class EventFile:
    """Writes a TensorBoard event file of scalars, with a purge step, which `tf.summary` does not support.

    Args:
      directory: the log directory.
      purge_step: hides the events of older files from this step on. 0 for none.
    """

    def __init__(self, directory: str, purge_step: int = 0) -> None:
        make_directory(directory)
        # TensorBoard reads the files of a directory in alphabetical order.
        self._writer = tf.io.TFRecordWriter(os.path.join(directory, f"events.out.tfevents.{time.time():.6f}.ambert_tf"))
        self._add(file_version="brain.Event:2")
        if purge_step:
            start = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
            self._add(step=purge_step, session_log=start)
        self._writer.flush()

    def _add(self, **content: Any) -> None:
        self._writer.write(tf.compat.v1.Event(wall_time=time.time(), **content).SerializeToString())

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Writes the values of a step."""
        scalars = [tf.compat.v1.Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._add(step=step, summary=tf.compat.v1.Summary(value=scalars))
        self._writer.flush()

    def close(self) -> None:
        """Closes the file."""
        self._writer.close()


def _read_lines(path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the lines of a `metrics.jsonl` and their contents, except for an incomplete last line."""
    if not exists(path):
        return
    for line in read_bytes(path).decode("utf-8", "replace").splitlines(keepends=True):
        try:
            values = parse_json(line)
            if line.endswith("\n") and isinstance(values["step"], int):
                yield line, values
        except (json.JSONDecodeError, KeyError, TypeError):
            continue


def drop_lines_after(path: str, step: int) -> None:
    """Removes the lines of later steps, and an incomplete last line, from a `metrics.jsonl`."""
    if exists(path):
        kept = [line for line, values in _read_lines(path) if values["step"] <= step]
        with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.writelines(kept)


def has_evaluation(output_dir: str, step: int) -> bool:
    """Returns whether the `metrics.jsonl` of a run contains an evaluation at a step."""
    return any(
        values["step"] == step and any(name.startswith(EVALUATION_PREFIX) for name in values)
        for _, values in _read_lines(os.path.join(output_dir, METRICS_FILE))
    )


def _duration(seconds: float) -> str:
    minutes, hours = int(seconds) // 60, int(seconds) // 3600
    if hours >= 24:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h {minutes % 60:02d} min" if hours else f"{minutes} min {int(seconds) % 60:02d} s"
