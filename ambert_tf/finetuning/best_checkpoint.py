"""Best checkpoint on the development set, and early stopping."""

import os
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf
from absl import logging

from ambert_tf.errors import InputError
from ambert_tf.files import is_directory, is_file, parse_json, read_bytes
from ambert_tf.finetuning.result_files import write_json
from ambert_tf.training.checkpoints import CHECKPOINT_DIRECTORY, Checkpoints

BEST_DIRECTORY = "best"
STATE_FILE = "best.json"
TRAINING_FILE = "training.json"


class BestCheckpoint:
    """Keeps the best weights so far in `output_dir/best` until training ends. A resumed run restores this state.

    Args:
      output_dir: the model directory.
      model: the model.
      metric: name of the result to compare. Higher is better.
      patience: number of evaluations without improvement after which `stop` is True, or 0 for never.
    """

    def __init__(self, output_dir: str, model: keras.Model, metric: str, patience: int = 0) -> None:
        self.metric = metric
        self.patience = patience
        self.directory = os.path.join(output_dir, BEST_DIRECTORY)
        self._checkpoints = Checkpoints(self.directory, model, {}, keep=1)
        self.value: float | None = None
        self.step = 0
        self.without_better = 0
        self._evaluated = 0
        if is_file(self._state_path):
            state = parse_json(read_bytes(self._state_path))
            self.value, self.step, self.without_better = state["value"], state["step"], state["without_better"]
            self._evaluated = state["evaluated"]

    @property
    def _state_path(self) -> str:
        return os.path.join(self.directory, STATE_FILE)

    def add(self, step: int, results: Mapping[str, float]) -> None:
        """Saves the weights if the results are the best so far."""
        if step <= self._evaluated:  # a resumed run repeats the steps after its last checkpoint
            return
        value = float(results[self.metric])
        if self.value is None or value > self.value:
            self._checkpoints.save(step)
            self.value, self.step, self.without_better = value, step, 0
        else:
            self.without_better += 1
        self._evaluated = step
        state = {
            "value": self.value, "step": self.step, "without_better": self.without_better, "evaluated": step,
        }  # fmt: skip
        write_json(self._state_path, {"metric": self.metric, **state})

    @property
    def stop(self) -> bool:
        """Whether training should stop."""
        return bool(self.patience) and self.without_better >= self.patience

    def finish(self, output_dir: str, facts: Mapping[str, Any]) -> None:
        """Writes `training.json` and replaces the last weights with the best ones.

        Args:
          output_dir: the model directory.
          facts: the contents of `training.json`.
        """
        write_finished(output_dir, facts)
        _keep_best_weights(output_dir)
        logging.info("kept the best checkpoint: %s at step %d is %.4g", self.metric, self.step, self.value)


def _keep_best_weights(output_dir: str) -> None:
    """Replaces the last checkpoint and its optimizer state with the best weights. Safe to repeat if interrupted."""
    directory, checkpoints = (os.path.join(output_dir, name) for name in (BEST_DIRECTORY, CHECKPOINT_DIRECTORY))
    best, replaced = (os.path.join(directory, name) for name in (CHECKPOINT_DIRECTORY, "replaced"))
    if is_directory(best):
        if is_directory(checkpoints):
            if is_directory(replaced):
                tf.io.gfile.rmtree(replaced)
            tf.io.gfile.rename(checkpoints, replaced)
        tf.io.gfile.rename(best, checkpoints)
    if is_directory(directory):
        tf.io.gfile.rmtree(directory)


def discard_best(output_dir: str) -> None:
    """Deletes the best weights of an earlier run, which would otherwise replace those of the present one."""
    if is_directory(directory := os.path.join(output_dir, BEST_DIRECTORY)):
        tf.io.gfile.rmtree(directory)


def read_finished(output_dir: str) -> dict[str, Any] | None:
    """Returns the contents of `training.json`, or None if training has not finished.

    If training was interrupted while moving the best weights, the move is completed first.
    """
    path = os.path.join(output_dir, TRAINING_FILE)
    if not is_file(path):
        return None
    _keep_best_weights(output_dir)
    try:
        return dict(parse_json(read_bytes(path)))
    except ValueError:
        raise InputError(f"{path}: not valid JSON; choose another --output_dir") from None


def write_finished(output_dir: str, facts: Mapping[str, Any]) -> None:
    """Writes `training.json`, which marks training as finished."""
    write_json(os.path.join(output_dir, TRAINING_FILE), dict(facts))


def check_same_training(output_dir: str, finished: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raises an InputError if a finished run used other settings."""
    for name, value in wanted.items():
        if name in finished and finished[name] != value:
            raise InputError(
                f"--output_dir={output_dir}: contains a model trained with {name}={finished[name]}, not {value}; "
                "choose another directory, or evaluate this model without --do_train"
            )
