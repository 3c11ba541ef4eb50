"""Keeps the checkpoint that is best on the development file, and ends a run that no longer gets better."""

import json
import os
import shutil
from collections.abc import Mapping
from typing import Any

import keras
from absl import logging

from ambert_tf.errors import InputError
from ambert_tf.finetuning.result_files import write_json
from ambert_tf.training.checkpoints import CHECKPOINT_DIRECTORY, Checkpoints

BEST_DIRECTORY = "best"
STATE_FILE = "best.json"
TRAINING_FILE = "training.json"


class BestCheckpoint:
    """The best weights so far, in `output_dir/best` until training ends.

    A run that goes on after an interruption goes on with what it had.

    Args:
      output_dir: the model directory.
      model: whose weights to keep.
      metric: the name of the result to compare; higher is better.
      patience: evaluations without a better one after which `stop` is true; 0 for never.
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
        if os.path.exists(self._state_path):
            with open(self._state_path, encoding="utf-8") as file:
                state = json.load(file)
            self.value, self.step, self.without_better = state["value"], state["step"], state["without_better"]
            self._evaluated = state["evaluated"]

    @property
    def _state_path(self) -> str:
        return os.path.join(self.directory, STATE_FILE)

    def add(self, step: int, results: Mapping[str, float]) -> None:
        """Keeps the weights if the results are better than all before."""
        if step <= self._evaluated:  # a run that was interrupted before it had written down what it found
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
        """Whether training is to end."""
        return bool(self.patience) and self.without_better >= self.patience

    def finish(self, output_dir: str, facts: Mapping[str, Any]) -> None:
        """Writes `training.json`, and puts the best weights in the place of the last ones.

        Args:
          output_dir: the model directory.
          facts: of the training.
        """
        write_finished(output_dir, facts)
        _keep_best_weights(output_dir)
        logging.info("%s was best at step %d: %.4g; that model is kept", self.metric, self.step, self.value)


def _keep_best_weights(output_dir: str) -> None:
    """Puts the best weights in the place of the last ones, whose optimizer state goes; goes on where it was killed."""
    directory, checkpoints = (os.path.join(output_dir, name) for name in (BEST_DIRECTORY, CHECKPOINT_DIRECTORY))
    best, replaced = (os.path.join(directory, name) for name in (CHECKPOINT_DIRECTORY, "replaced"))
    if os.path.isdir(best):
        if os.path.isdir(checkpoints):
            shutil.rmtree(replaced, ignore_errors=True)
            os.rename(checkpoints, replaced)
        os.rename(best, checkpoints)
    shutil.rmtree(directory, ignore_errors=True)


def read_finished(output_dir: str) -> dict[str, Any] | None:
    """Returns what `training.json` says of a finished training; None if there is none.

    A training that was killed while its best weights were put in place is completed first.
    """
    path = os.path.join(output_dir, TRAINING_FILE)
    if not os.path.exists(path):
        return None
    _keep_best_weights(output_dir)
    try:
        with open(path, encoding="utf-8") as file:
            return dict(json.load(file))
    except ValueError:
        raise InputError(f"{path}: is no JSON; choose another --output_dir") from None


def write_finished(output_dir: str, facts: Mapping[str, Any]) -> None:
    """Writes `training.json`: this training is finished."""
    write_json(os.path.join(output_dir, TRAINING_FILE), dict(facts))


def check_same_training(output_dir: str, finished: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raises an InputError if a finished training had other settings."""
    for name, value in wanted.items():
        if name in finished and finished[name] != value:
            raise InputError(
                f"--output_dir={output_dir}: holds a finished training with {name}={finished[name]}, not {value}; "
                "choose another directory, or evaluate it without --do_train"
            )
