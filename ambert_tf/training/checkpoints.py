"""Checkpoints and model directories.

A model directory has `config.json`, `tokenizer/` and `checkpoints/`; it is complete on its own and may be
moved. A checkpoint is `tf.train.Checkpoint`'s format; its variables have names that do not depend on Python
objects: `model/PATH`, PATH as `variable.path`, such as `backbone/encoder/layer_0/attention/query/kernel`.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from ambert_tf.errors import InputError, one_line
from ambert_tf.files import make_directory
from ambert_tf.models.config import ModelConfig
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

CONFIG_FILE = "config.json"
TOKENIZER_DIRECTORY = "tokenizer"
CHECKPOINT_DIRECTORY = "checkpoints"
BACKBONE_PREFIX = "backbone/"

# What reading a damaged checkpoint raises; of a data file that is too short TensorFlow's reader says IndexError.
READ_ERRORS = (tf.errors.OpError, RuntimeError, IndexError)

CHECKPOINT_NAME = "ckpt"
_CHECKPOINT_INDEX = re.compile(rf"{CHECKPOINT_NAME}-(\d+)\.index")

_VALUE_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
_MODEL_PREFIX = "model/"


class ModelDirectory(NamedTuple):
    """The parts of a model directory: its configuration, the tokenizer's directory, the newest checkpoint."""

    config: ModelConfig
    tokenizer_directory: str
    checkpoint: str


class Checkpoints:
    """Saves and restores variables in `output_dir/checkpoints`.

    Args:
      output_dir: the model directory.
      model: the Keras model; its variables are saved under their paths.
      state: other variables by name, possibly nested, such as an optimizer's.
      keep: how many checkpoints to keep.
      writes: whether `save` writes. Of several workers one does. TensorFlow asks the others to save too, elsewhere,
        for variables whose saved value takes all workers; here each worker has the whole of every variable.
    """

    def __init__(
        self, output_dir: str, model: keras.Model, state: Mapping[str, Any], keep: int = 3, writes: bool = True
    ) -> None:
        self.directory = os.path.join(output_dir, CHECKPOINT_DIRECTORY)
        self.writes = writes
        if writes:
            make_directory(self.directory)
        self._model = model
        self._checkpoint = tf.train.Checkpoint(
            model={variable.path: variable.value for variable in model.variables}, **state
        )
        _mend_list(self.directory)
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, self.directory, max_to_keep=keep, checkpoint_name=CHECKPOINT_NAME
        )

    def save(self, step: int) -> None:
        """Writes a checkpoint and removes the oldest ones."""
        if not self.writes:
            return
        try:
            self._manager.save(checkpoint_number=step)
        except tf.errors.OpError as error:
            raise InputError(
                f"{self.directory}: the checkpoint of step {step} cannot be written: {one_line(error)}"
            ) from None

    def restore_latest(self) -> str | None:
        """Restores the newest checkpoint that is whole; returns its prefix, or None if there is none.

        Raises:
          InputError: a checkpoint does not fit the model, or all are damaged.
        """
        prefixes = list(reversed(self._manager.checkpoints))
        for prefix in prefixes:
            try:
                _check_shapes(prefix, self._model.variables)
                self._checkpoint.restore(prefix).assert_existing_objects_matched()
            except READ_ERRORS as error:
                logging.warning("%s: this checkpoint is damaged (%s); trying the one before", prefix, one_line(error))
                continue
            except AssertionError as error:
                raise InputError(
                    f"{prefix}: the checkpoint lacks a part of this run's state: {one_line(error)}"
                ) from None
            return prefix
        if prefixes:
            raise InputError(f"{self.directory}: all {len(prefixes)} checkpoints are damaged; use another --output_dir")
        return None


def _mend_list(directory: str) -> None:
    """Writes TensorFlow's list of checkpoints anew where it is missing or damaged and there are checkpoints."""
    try:
        if not os.path.isdir(directory) or tf.train.get_checkpoint_state(directory) is not None:
            return
    except ValueError:  # an empty file, as a power cut may leave it
        os.remove(os.path.join(directory, "checkpoint"))
    found = filter(None, map(_CHECKPOINT_INDEX.fullmatch, os.listdir(directory)))
    names = [f"{CHECKPOINT_NAME}-{number}" for number in sorted(int(match[1]) for match in found)]
    if names:
        logging.warning("%s: the list of checkpoints is lost; found %s", directory, ", ".join(names))
        times = [os.path.getmtime(os.path.join(directory, f"{name}.index")) for name in names]
        # The one that is not deprecated knows only a manager's own checkpoints.
        tf.compat.v1.train.update_checkpoint_state(
            directory, names[-1], names, all_model_checkpoint_timestamps=times, last_preserved_timestamp=times[0] - 1.0
        )


def prepare_model_directory(output_dir: str, config: ModelConfig, tokenizer: MultiGrainedTokenizer) -> None:
    """Writes `config.json` and `tokenizer/` into a model directory, or checks that what is there is the same.

    Raises:
      InputError: the directory holds a run with another configuration or tokenizer.
    """
    make_directory(output_dir)
    config_path = os.path.join(output_dir, CONFIG_FILE)
    tokenizer_directory = os.path.join(output_dir, TOKENIZER_DIRECTORY)
    if os.path.exists(config_path):
        found = ModelConfig.from_file(config_path, "output_dir")
        for name, value in config.to_dict().items():
            if getattr(found, name) != value:
                raise InputError(
                    f"--output_dir={output_dir}: holds a run whose {name} is {getattr(found, name)!r}, not "
                    f"{value!r}; go on with that configuration, or choose another directory"
                )
    if os.path.isdir(tokenizer_directory):
        if MultiGrainedTokenizer.load(tokenizer_directory).fingerprint != tokenizer.fingerprint:
            raise InputError(
                f"--output_dir={output_dir}: holds a run with another tokenizer than --tokenizer_dir; "
                "choose another directory"
            )
    else:
        tokenizer.save(tokenizer_directory)
    if not os.path.exists(config_path):
        config.to_file(config_path)


def is_model_directory(path: str) -> bool:
    """Returns whether a directory looks like a model directory."""
    return os.path.isfile(os.path.join(path, CONFIG_FILE)) and os.path.isdir(os.path.join(path, CHECKPOINT_DIRECTORY))


def load_model_directory(path: str, flag: str = "init_checkpoint") -> ModelDirectory:
    """Returns the parts of a model directory.

    Raises:
      InputError: it is none, or has no checkpoint.
    """
    if not os.path.isdir(path):
        raise InputError(
            f"--{flag}={path}: no such directory; a model directory is needed, an --output_dir of training"
        )
    for name in (CONFIG_FILE, TOKENIZER_DIRECTORY, CHECKPOINT_DIRECTORY):
        if not os.path.exists(os.path.join(path, name)):
            raise InputError(
                f"--{flag}={path}: is no model directory: {name} is missing (it holds {CONFIG_FILE}, "
                f"{TOKENIZER_DIRECTORY}/ and {CHECKPOINT_DIRECTORY}/)"
            )
    _mend_list(os.path.join(path, CHECKPOINT_DIRECTORY))
    checkpoint = tf.train.latest_checkpoint(os.path.join(path, CHECKPOINT_DIRECTORY))
    if checkpoint is None:
        raise InputError(f"--{flag}={path}: {CHECKPOINT_DIRECTORY}/ holds no complete checkpoint; train it first")
    config = ModelConfig.from_file(os.path.join(path, CONFIG_FILE), flag)
    return ModelDirectory(config, os.path.join(path, TOKENIZER_DIRECTORY), checkpoint)


def checkpoint_prefix(path: str, flag: str = "init_checkpoint") -> str:
    """Returns the checkpoint that a model directory, a directory of checkpoints or a prefix stands for.

    Raises:
      InputError: there is none.
    """
    if os.path.isdir(path):
        if os.path.exists(os.path.join(path, "checkpoint")):
            latest = tf.train.latest_checkpoint(path)
            if latest is not None:
                return latest
        return load_model_directory(path, flag).checkpoint
    prefix = path.removesuffix(".index")
    if not os.path.exists(prefix + ".index"):
        raise InputError(
            f"--{flag}={path}: no such checkpoint; name a model directory, or a checkpoint without its "
            f"ending, such as DIR/{CHECKPOINT_DIRECTORY}/ckpt-1000"
        )
    return prefix


def restore_backbone(model: keras.Model, path: str, flag: str = "init_checkpoint") -> str:
    """Gives a model the encoder weights of a checkpoint: everything below `backbone/`; returns its prefix.

    Args:
      model: a backbone, or a model with one; heads keep their values.
      path: a model directory, or a checkpoint's prefix.
      flag: the flag it came from, for errors.

    Raises:
      InputError: there is no such checkpoint, or it does not fit the model.
    """
    prefix = checkpoint_prefix(path, flag)
    restore_variables([v for v in model.variables if v.path.startswith(BACKBONE_PREFIX)], prefix)
    return prefix


def restore_variables(variables: Iterable[keras.Variable], prefix: str, saved_path: Callable[[str], str] = str) -> None:
    """Assigns to variables what a checkpoint has under their paths.

    Args:
      variables: of the model.
      prefix: the checkpoint.
      saved_path: a variable's path to the path it was saved under; the same by default.

    Raises:
      InputError: a variable is missing there, has another shape, or the file is damaged.
    """
    variables = list(variables)
    try:
        _check_shapes(prefix, variables, saved_path)
        reader = tf.train.load_checkpoint(prefix)
        for variable in variables:
            variable.assign(reader.get_tensor(_key(saved_path(variable.path))))
    except READ_ERRORS as error:
        raise InputError(f"{prefix}: this checkpoint cannot be read: {one_line(error)}") from None


def variable_reader(prefix: str) -> Callable[[str], np.ndarray | None]:
    """Returns a function from a variable's path to its values in a checkpoint, None where it has no such variable.

    Raises:
      InputError: the checkpoint cannot be read; the function raises it too.
    """
    try:
        reader = tf.train.load_checkpoint(prefix)
        shapes = reader.get_variable_to_shape_map()
    except READ_ERRORS as error:
        raise InputError(f"{prefix}: this checkpoint cannot be read: {one_line(error)}") from None

    def read(path: str) -> np.ndarray | None:
        try:
            return reader.get_tensor(_key(path)) if _key(path) in shapes else None
        except READ_ERRORS as error:
            raise InputError(f"{prefix}: this checkpoint cannot be read: {one_line(error)}") from None

    return read


def _check_shapes(prefix: str, variables: Iterable[keras.Variable], saved_path: Callable[[str], str] = str) -> None:
    """Raises an InputError for the first variable that a checkpoint lacks or has in another shape."""
    shapes = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
    for variable in variables:
        path = saved_path(variable.path)
        found = shapes.get(_key(path))
        if found is None:
            raise InputError(
                f"{prefix}: the checkpoint has no variable {path}; it was written by a model of "
                "another model_type or with fewer layers"
            )
        if tuple(found) != tuple(variable.shape):
            raise InputError(
                f"{prefix}: {path} has shape {tuple(found)} in the checkpoint and "
                f"{tuple(variable.shape)} by the configuration; use the configuration and the tokenizer that "
                "the checkpoint was trained with"
            )


def _key(path: str) -> str:
    # TensorFlow escapes the slash in the names of dictionary entries.
    return _MODEL_PREFIX + path.replace(".", "..").replace("/", ".S") + _VALUE_SUFFIX
