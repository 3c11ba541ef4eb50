import io
import json

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

from ambert_tf.training.progress import Progress, drop_lines_after


class Clock:
    """A clock that is set by the test."""

    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


class Terminal(io.StringIO):
    def isatty(self):
        return True


def metrics(*losses, sequences=8.0):
    count = len(losses)
    return {
        "loss": np.array(losses, np.float32),
        "learning_rate": np.arange(count, dtype=np.float32),
        "sequences": np.full(count, sequences, np.float32),
        "tokens": np.full(count, 100.0, np.float32),
        "model_flops": np.full(count, 2e9, np.float32),
    }


def lines(directory):
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def test_a_line_has_means_newest_values_and_rates(tmp_path):
    clock = Clock()
    progress = Progress(str(tmp_path), 10, log_steps=2, clock=clock)
    progress.add(1, metrics(5.0))  # not timed, because it traces the graph
    clock.seconds += 4
    progress.add(2, metrics(3.0))
    clock.seconds += 1
    progress.add(4, metrics(2.0, 1.0))
    progress.close()
    first, second = lines(tmp_path)
    assert first == {
        "step": 2, "loss": 4.0, "learning_rate": 0.0,
        "sequences_per_second": 2.0, "tokens_per_second": 25.0, "model_flops_per_second": 5e8,
    }  # fmt: skip
    assert (second["step"], second["loss"], second["learning_rate"]) == (4, 1.5, 1.0)
    assert second["sequences_per_second"] == 16.0


def test_every_line_of_a_long_loop_has_its_rates(tmp_path):
    clock = Clock()
    progress = Progress(str(tmp_path), 10, log_steps=2, clock=clock)
    progress.add(2, metrics(5.0, 4.0))
    clock.seconds += 2
    progress.add(6, metrics(4.0, 3.0, 2.0, 1.0))
    progress.close()
    assert [line.get("sequences_per_second") for line in lines(tmp_path)] == [None, 16.0, 16.0]


def test_mfu_is_relative_to_the_highest_peak_and_never_above_1(tmp_path):
    terminal, clock = Terminal(), Clock()
    peaks = iter([1e9, 8e9, 4e9])  # other programs slow down the first and the last measurement
    progress = Progress(str(tmp_path), 10, log_steps=1, measure_peak=lambda: next(peaks), stream=terminal, clock=clock)
    progress.add(1, metrics(5.0))
    for step in (2, 3, 4):
        clock.seconds += 1
        progress.add(step, metrics(5.0))
        if step < 4:
            progress.restart_clock()
    progress.close()
    assert [line.get("mfu") for line in lines(tmp_path)] == [None, None, 0.25, 0.25]
    assert "2.0 GFLOP/s  MFU 25 %" in terminal.getvalue()


def test_skipped_steps_are_counted_and_excluded_from_means(tmp_path):
    progress = Progress(str(tmp_path), 10, log_steps=3)
    progress.add(3, metrics(4.0, float("nan"), 2.0))
    progress.add(6, metrics(float("inf"), float("nan"), float("nan")))
    progress.close()
    first, second = lines(tmp_path)
    assert (first["loss"], first["skipped_steps"]) == (3.0, 1)
    assert "loss" not in second and second["skipped_steps"] == 3


def test_time_for_checkpoints_does_not_count(tmp_path):
    clock = Clock()
    progress = Progress(str(tmp_path), 10, log_steps=1, clock=clock)
    progress.add(1, metrics(5.0), flush=True)
    clock.seconds += 1000
    progress.restart_clock()
    clock.seconds += 2
    progress.add(2, metrics(5.0))
    progress.close()
    assert lines(tmp_path)[1]["sequences_per_second"] == 4.0


def test_flush_writes_a_line_early(tmp_path):
    progress = Progress(str(tmp_path), 10, log_steps=100)
    progress.add(3, metrics(3.0, 2.0, 1.0), flush=True)
    progress.close()
    assert [(line["step"], line["loss"]) for line in lines(tmp_path)] == [(3, 2.0)]


def test_lines_after_the_restored_step_are_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 2, "eval_loss": 1.0}\n{"step": 3}\n{"step": 2, "los')
    drop_lines_after(str(path), 2)
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n{"step": 2, "eval_loss": 1.0}\n'
    drop_lines_after(str(tmp_path / "none"), 2)
    assert not (tmp_path / "none").exists()


def test_a_terminal_shows_one_line_that_is_overwritten(tmp_path):
    terminal, clock = Terminal(), Clock()
    progress = Progress(str(tmp_path), 10, log_steps=1, stream=terminal, clock=clock)
    progress.add(1, metrics(5.0))
    clock.seconds += 75
    progress.add(2, metrics(4.0))
    progress.close()
    shown = terminal.getvalue().split("\r")[-1]
    assert "step 2/10" in shown and "loss 4" in shown and "10 min 00 s left" in shown
    assert terminal.getvalue().count("\n") == 1


def test_tensorboard_shows_each_step_of_a_resumed_run_once(tmp_path):
    # The first run was killed before its first checkpoint.
    for start, steps in ((0, (1, 2)), (0, (1, 2, 3)), (2, (3, 4))):
        progress = Progress(str(tmp_path), 10, start_step=start, log_steps=1)
        for step in steps:
            progress.add(step, metrics(step + start / 10))
        progress.close()
    events = event_accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, round(event.value, 3)) for event in events.Scalars("loss")] == [
        (1, 1.0), (2, 2.0), (3, 3.2), (4, 4.2),
    ]  # fmt: skip
    assert [event.step for event in events.Scalars("learning_rate")] == [1, 2, 3, 4]


def test_metrics_of_a_remote_run_are_written_and_dropped():
    for start in (0, 1):
        progress = Progress("ram://progress/run", 10, start_step=start, log_steps=1)
        for step in range(start + 1, 4):
            progress.add(step, metrics(step + start / 10))
        progress.close()
    written = tf.io.gfile.GFile("ram://progress/run/metrics.jsonl").read().splitlines()
    assert [json.loads(line)["step"] for line in written] == [1, 2, 3]
    assert json.loads(written[-1])["loss"] == pytest.approx(3.1)
    assert len(tf.io.gfile.listdir("ram://progress/run/tensorboard")) == 2
