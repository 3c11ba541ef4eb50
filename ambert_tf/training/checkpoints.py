"""Checkpoints and model directories.

A model directory contains `config.json`, `tokenizer/` and `checkpoints/`. It is self-contained and may be moved,
including to and from `gs://`. Checkpoints are written by `tf.train.Checkpoint`. The names of variables do not depend on
Python objects. They are `model/PATH`, where PATH is `variable.path`, such as
`backbone/encoder/layer_0/attention/query/kernel`.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from ambert_tf.errors import InputError, one_line, write_problem
from ambert_tf.files import check_tensorflow_path, exists, file_version, is_directory, is_file, list_directory
from ambert_tf.models.config import ModelConfig
from ambert_tf.models.preset_files import MASKED_LM_NAME, preset_config, preset_task_name
from ambert_tf.outputs import make_directory, remove
from ambert_tf.presets import TOKENIZER_ASSETS, WEIGHTS_FILE, built_in_presets, preset_path
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.preset_weights import PresetReader

CONFIG_FILE = "config.json"
TOKENIZER_DIRECTORY = "tokenizer"
CHECKPOINT_DIRECTORY = "checkpoints"
BACKBONE_PREFIX = "backbone/"

# Errors raised when reading a damaged checkpoint. A truncated data file causes the IndexError.
READ_ERRORS = (tf.errors.OpError, RuntimeError, IndexError)

CHECKPOINT_NAME = "ckpt"
_CHECKPOINT_INDEX = re.compile(rf"{CHECKPOINT_NAME}-(\d+)\.index")

_VALUE_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
_MODEL_PREFIX = "model/"
# Part of the optimizer's state in float16.
_LOSS_SCALE = "loss_scale"
_LOSS_SCALE_KEY = f"optimizer/{_LOSS_SCALE}/scale{_VALUE_SUFFIX}"


class ModelDirectory(NamedTuple):
    """The parts of a model directory: configuration, tokenizer directory, and prefix of the latest checkpoint.

    Those of a KerasHub preset of a pre-trained model have its weights file as `checkpoint`.
    """

    config: ModelConfig
    tokenizer_directory: str
    checkpoint: str


class Checkpoints:
    """Saves and restores variables in `output_dir/checkpoints`.

    Args:
      output_dir: the model directory.
      model: the Keras model. Its variables are saved under their paths.
      state: other variables by name, possibly nested, such as those of an optimizer.
      keep: number of checkpoints to keep.
      writes: whether `save` writes. Only one of several workers does. Variables are mirrored, so the others need not
        take part.
    """

    def __init__(
        self, output_dir: str, model: keras.Model, state: Mapping[str, Any], keep: int = 3, writes: bool = True
    ) -> None:
        self.directory = os.path.join(output_dir, CHECKPOINT_DIRECTORY)
        self.writes = writes
        if writes:
            make_directory(self.directory)
        self._model = model
        self._state = state
        self._checkpoint = self._tracked(state)
        _repair_list(self.directory)
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, self.directory, max_to_keep=keep, checkpoint_name=CHECKPOINT_NAME
        )

    def _tracked(self, state: Mapping[str, Any]) -> tf.train.Checkpoint:
        return tf.train.Checkpoint(
            model={variable.path: variable.value for variable in self._model.variables}, **state
        )

    def path(self, step: int) -> str:
        """Returns the prefix of the checkpoint at a step."""
        return os.path.join(self.directory, f"{CHECKPOINT_NAME}-{step}")

    def save(self, step: int) -> None:
        """Writes a checkpoint and removes the oldest ones."""
        if not self.writes:
            return
        try:
            self._manager.save(checkpoint_number=step)
        except Exception as error:
            problem = write_problem(error)
            if problem is None and not isinstance(error, tf.errors.OpError):
                raise
            self._remove_unfinished(step)
            raise InputError(
                f"{self.path(step)}: the checkpoint cannot be written: {problem or one_line(error)}"
            ) from None

    def _remove_unfinished(self, step: int) -> None:
        """Removes the partial files of a checkpoint that TensorFlow failed to write."""
        prefixes = (f"{CHECKPOINT_NAME}-{step}.", f"{CHECKPOINT_NAME}-{step}_temp", "checkpoint.tmp")
        for name in list_directory(self.directory):
            if name.startswith(prefixes):
                remove(os.path.join(self.directory, name))

    def restore_latest(self) -> str | None:
        """Restores the latest undamaged checkpoint and returns its prefix, or None if there is no checkpoint.

        Raises:
          InputError: a checkpoint does not match the model, or all checkpoints are damaged.
        """
        prefixes = list(reversed(self._manager.checkpoints))
        for prefix in prefixes:
            try:
                reader = _open_reader(prefix)
                _check_shapes(prefix, reader, self._model.variables)
                self._restore(prefix, has_loss_scale=reader.has_tensor(_LOSS_SCALE_KEY))
            except READ_ERRORS as error:
                logging.warning("%s: the checkpoint is damaged (%s); trying the previous one", prefix, one_line(error))
                continue
            except AssertionError as error:
                raise InputError(
                    f"{prefix}: the checkpoint lacks part of this run's state: {one_line(error)}"
                ) from None
            return prefix
        if prefixes:
            raise InputError(f"{self.directory}: all {len(prefixes)} checkpoints are damaged; use another --output_dir")
        return None

    def _restore(self, prefix: str, has_loss_scale: bool) -> None:
        """Restores a checkpoint. The run may have been started with or without --use_fp16."""
        checkpoint = self._checkpoint
        optimizer = dict(self._state.get("optimizer", {}))
        if not has_loss_scale and optimizer.pop(_LOSS_SCALE, None) is not None:
            logging.warning("%s: has no loss scale, because it was trained without --use_fp16; using a new one", prefix)
            checkpoint = self._tracked({**self._state, "optimizer": optimizer})
        checkpoint.restore(prefix).assert_existing_objects_matched().expect_partial()


def _repair_list(directory: str) -> None:
    """Rewrites TensorFlow's `checkpoint` file if it is missing or damaged and there are checkpoints."""
    try:
        if not is_directory(directory) or tf.train.get_checkpoint_state(directory) is not None:
            return
    except ValueError:  # an empty file, for example after a power failure
        tf.io.gfile.remove(os.path.join(directory, "checkpoint"))
    found = filter(None, map(_CHECKPOINT_INDEX.fullmatch, list_directory(directory)))
    names = [f"{CHECKPOINT_NAME}-{number}" for number in sorted(int(match[1]) for match in found)]
    if names:
        # TensorFlow joins names with a directory that is not absolute, and treats remote directories as not absolute.
        paths = names if os.path.isabs(directory) else [os.path.join(directory, name) for name in names]
        logging.warning("%s: the list of checkpoints was lost; found %s", directory, ", ".join(names))
        times = [file_version(os.path.join(directory, f"{name}.index"))[1] / 1e9 for name in names]
        # The function that is not deprecated only handles checkpoints of a CheckpointManager.
        tf.compat.v1.train.update_checkpoint_state(
            directory, paths[-1], paths, all_model_checkpoint_timestamps=times, last_preserved_timestamp=times[0] - 1.0
        )


def check_model_directory(output_dir: str, config: ModelConfig, tokenizer: MultiGrainedTokenizer) -> None:
    """Checks that the configuration and tokenizer in a model directory with a checkpoint are equal to these.

    Raises:
      InputError: the directory contains a run with another configuration or tokenizer.
    """
    if not has_checkpoint(output_dir):
        return
    config_path = os.path.join(output_dir, CONFIG_FILE)
    tokenizer_directory = os.path.join(output_dir, TOKENIZER_DIRECTORY)
    if exists(config_path):
        found = ModelConfig.from_file(config_path, "output_dir")
        for name, value in config.to_dict().items():
            if getattr(found, name) != value:
                raise InputError(
                    f"--output_dir={output_dir}: contains a run with {name} {getattr(found, name)!r}, not "
                    f"{value!r}; resume it with that configuration, or choose another directory"
                )
    same = tokenizer.fingerprint
    if is_directory(tokenizer_directory) and MultiGrainedTokenizer.load(tokenizer_directory).fingerprint != same:
        raise InputError(f"--output_dir={output_dir}: contains a run with another tokenizer; choose another directory")


def prepare_model_directory(output_dir: str, config: ModelConfig, tokenizer: MultiGrainedTokenizer) -> None:
    """Writes `config.json` and `tokenizer/` to a model directory, or checks that those of a checkpoint are equal.

    Those of a run that ended before its first checkpoint are replaced.

    Raises:
      InputError: the directory contains a run with another configuration or tokenizer.
    """
    check_model_directory(output_dir, config, tokenizer)
    make_directory(output_dir)
    config_path = os.path.join(output_dir, CONFIG_FILE)
    tokenizer_directory = os.path.join(output_dir, TOKENIZER_DIRECTORY)
    started = has_checkpoint(output_dir)
    if not (started and is_directory(tokenizer_directory)):
        tokenizer.save(tokenizer_directory)
    if not (started and exists(config_path)):
        config.to_file(config_path)


def has_checkpoint(output_dir: str) -> bool:
    """Returns whether a model directory has a complete checkpoint."""
    directory = os.path.join(output_dir, CHECKPOINT_DIRECTORY)
    return is_directory(directory) and any(map(_CHECKPOINT_INDEX.fullmatch, list_directory(directory)))


def _of_checkpoint(path: str) -> tuple[str, str | None]:
    """Returns the model directory of one of its checkpoints and the checkpoint's prefix, or the path and None."""
    directory, name = os.path.split(path.removesuffix(".index").rstrip("/"))
    if name == CHECKPOINT_DIRECTORY and is_file(os.path.join(directory, CONFIG_FILE)):
        return directory, None
    if os.path.basename(directory) == CHECKPOINT_DIRECTORY and exists(os.path.join(directory, f"{name}.index")):
        return os.path.dirname(directory), os.path.join(directory, name)
    return path, None


def is_model_directory(path: str) -> bool:
    """Returns whether a path looks like a model directory, a checkpoint in one, or a preset that can be used as one."""
    path, _ = _of_checkpoint(preset_path(path))
    return _preset(path) is not None or (
        is_file(os.path.join(path, CONFIG_FILE)) and is_directory(os.path.join(path, CHECKPOINT_DIRECTORY))
    )


def load_model_directory(path: str, flag: str = "init_checkpoint") -> ModelDirectory:
    """Returns the parts of a model directory.

    Args:
      path: a model directory, the prefix of a checkpoint in one, the directory of a preset of a pre-trained model, or
        the name of a preset in this package.
      flag: the flag that named the path, for error messages.

    Raises:
      InputError: the path is none of these, has no checkpoint, or contains a character of a pattern.
    """
    path, prefix = _of_checkpoint(preset_path(path))
    if preset := _preset(path):
        return preset
    if not is_directory(path):
        names = ", ".join(built_in_presets())
        raise InputError(
            f"--{flag}={path}: no such directory; a model directory, written by training, or the name of a model in "
            f"the package ({names}) is expected"
        )
    for name in (CONFIG_FILE, TOKENIZER_DIRECTORY, CHECKPOINT_DIRECTORY):
        if not exists(os.path.join(path, name)):
            if exists(os.path.join(path, WEIGHTS_FILE)):
                raise InputError(
                    f"--{flag}={path}: a KerasHub preset, not a model directory; convert it with convert_checkpoint.py "
                    "--from_format=keras_hub --to_format=ambert"
                )
            raise InputError(
                f"--{flag}={path}: not a model directory: {name} is missing; a model directory contains {CONFIG_FILE}, "
                f"{TOKENIZER_DIRECTORY}/ and {CHECKPOINT_DIRECTORY}/"
            )
    check_tensorflow_path(path, flag)
    _repair_list(os.path.join(path, CHECKPOINT_DIRECTORY))
    checkpoint = prefix or tf.train.latest_checkpoint(os.path.join(path, CHECKPOINT_DIRECTORY))
    if checkpoint is None:
        raise InputError(f"--{flag}={path}: {CHECKPOINT_DIRECTORY}/ contains no complete checkpoint; train it first")
    config = ModelConfig.from_file(os.path.join(path, CONFIG_FILE), flag)
    return ModelDirectory(config, os.path.join(path, TOKENIZER_DIRECTORY), checkpoint)


def _preset(path: str) -> ModelDirectory | None:
    """Returns the parts of a preset of a pre-trained model, or None if the path is something else."""
    if not is_file(os.path.join(path, WEIGHTS_FILE)) or preset_task_name(path) not in (None, MASKED_LM_NAME):
        return None
    config, tokenizer = preset_config(path), os.path.join(path, TOKENIZER_ASSETS)
    if config is None or not is_directory(tokenizer):
        return None
    return ModelDirectory(config, tokenizer, os.path.join(path, WEIGHTS_FILE))


def checkpoint_prefix(path: str, flag: str = "init_checkpoint") -> str:
    """Returns the checkpoint prefix of a model directory, a directory of checkpoints or a prefix.

    Raises:
      InputError: there is no checkpoint, or the path contains a character of a pattern.
    """
    path = preset_path(path)
    if is_directory(path):
        if _preset(path) is None:
            check_tensorflow_path(path, flag)
        if exists(os.path.join(path, "checkpoint")):
            latest = tf.train.latest_checkpoint(path)
            if latest is not None:
                return latest
        return load_model_directory(path, flag).checkpoint
    prefix = path.removesuffix(".index")
    if not exists(prefix + ".index"):
        raise InputError(
            f"--{flag}={path}: no such checkpoint; name a model directory, or the prefix of a checkpoint, such as "
            f"DIR/{CHECKPOINT_DIRECTORY}/{CHECKPOINT_NAME}-1000"
        )
    check_tensorflow_path(path, flag)
    return prefix


def restore_backbone(model: keras.Model, path: str, flag: str = "init_checkpoint") -> str:
    """Loads the encoder weights of a checkpoint (all variables under `backbone/`) and returns its prefix.

    Args:
      model: a backbone, or a model with one. Its heads keep their values.
      path: a model directory, or the prefix of a checkpoint.
      flag: the flag that named the path, for error messages.

    Raises:
      InputError: there is no such checkpoint, or it does not match the model.
    """
    prefix = checkpoint_prefix(path, flag)
    restore_variables([v for v in model.variables if v.path.startswith(BACKBONE_PREFIX)], prefix)
    return prefix


def restore_variables(variables: Iterable[keras.Variable], prefix: str, saved_path: Callable[[str], str] = str) -> None:
    """Assigns the values of a checkpoint to variables, matched by path.

    Args:
      variables: the variables to restore.
      prefix: the checkpoint.
      saved_path: maps a variable's path to the path it was saved under. Defaults to the identity.

    Raises:
      InputError: a variable is missing in the checkpoint, its shape differs, or the checkpoint is damaged.
    """
    variables = list(variables)
    try:
        reader = _open_reader(prefix)
        _check_shapes(prefix, reader, variables, saved_path)
        for variable in variables:
            variable.assign(reader.get_tensor(_key(saved_path(variable.path))))
    except READ_ERRORS as error:
        raise InputError(f"{prefix}: this checkpoint cannot be read: {one_line(error)}") from None


def variable_reader(prefix: str) -> Callable[[str], np.ndarray | None]:
    """Returns a function that maps a variable's path to its value in a checkpoint, or to None if it is missing.

    Raises:
      InputError: the checkpoint cannot be read. The returned function may raise it as well.
    """
    try:
        reader = _open_reader(prefix)
        shapes = reader.get_variable_to_shape_map()
    except READ_ERRORS as error:
        raise InputError(f"{prefix}: this checkpoint cannot be read: {one_line(error)}") from None

    def read(path: str) -> np.ndarray | None:
        try:
            return reader.get_tensor(_key(path)) if _key(path) in shapes else None
        except READ_ERRORS as error:
            raise InputError(f"{prefix}: this checkpoint cannot be read: {one_line(error)}") from None

    return read


def _open_reader(prefix: str) -> Any:
    if os.path.basename(prefix) == WEIGHTS_FILE:
        return PresetReader(prefix, _key)
    # On some remote file systems, tf.train.load_checkpoint mistakes a prefix for a directory.
    return tf.compat.v1.train.NewCheckpointReader(prefix)


def _check_shapes(
    prefix: str, reader: Any, variables: Iterable[keras.Variable], saved_path: Callable[[str], str] = str
) -> None:
    """Raises an InputError for the first variable that a checkpoint lacks or has with another shape."""
    shapes = reader.get_variable_to_shape_map()
    for variable in variables:
        path = saved_path(variable.path)
        found = shapes.get(_key(path))
        if found is None:
            raise InputError(
                f"{prefix}: the checkpoint has no variable {path}; it is from a model with another model_type or fewer "
                "layers"
            )
        if tuple(found) != tuple(variable.shape):
            raise InputError(
                f"{prefix}: {path} has shape {tuple(found)} in the checkpoint and "
                f"{tuple(variable.shape)} in the configuration; use the configuration and the tokenizer that "
                "the checkpoint was trained with"
            )


def _key(path: str) -> str:
    # TensorFlow escapes slashes in the names of dictionary entries.
    return _MODEL_PREFIX + path.replace(".", "..").replace("/", ".S") + _VALUE_SUFFIX
