"""The tensors of a directory written by transformers, in one or several safetensors files or PyTorch pickles.

safetensors requires the extra `interop`. Pickles require the extra `pytorch`. They are read by its `weights_only`
loader, which does not execute their code.
"""

import contextlib
import os
import zipfile
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
from absl import logging

from ambert_tf.errors import InputError, one_line
from ambert_tf.files import check_input_file, is_file, local_copy, read_json_object

WEIGHTS_NAME = "model.safetensors"
BACKBONE_PREFIX = "bert."
DECODER = "cls.predictions.decoder.weight"
# The output bias, which checkpoints have under either name or both.
_BIAS, _DECODER_BIAS = "cls.predictions.bias", "cls.predictions.decoder.bias"
# Buffers of old transformers versions, and tied copies.
_EXPECTED_OTHERS = ("position_ids", "token_type_ids", DECODER, _BIAS, _DECODER_BIAS)

_PICKLE = "pytorch_model.bin"
_WEIGHT_FILES = (WEIGHTS_NAME, f"{WEIGHTS_NAME}.index.json", _PICKLE, f"{_PICKLE}.index.json")
_OTHER_FRAMEWORKS = ("tf_model.h5", "tf_model.h5.index.json", "flax_model.msgpack")
_ADVICE = "load it with transformers and save it with save_pretrained, which writes safetensors"


def has_weights(directory: str) -> bool:
    """Returns whether a directory has a transformers weight file, whether it can be read here or not."""
    return any(is_file(os.path.join(directory, name)) for name in (*_WEIGHT_FILES, *_OTHER_FRAMEWORKS))


class HuggingFaceTensors:
    """The tensors of a directory by name, whichever of transformers' BERT classes wrote them.

    Args:
      directory: the directory, local or remote.
      flag: the flag that named it, for error messages.

    Raises:
      InputError: there is no weight file, or it cannot be read.
    """

    def __init__(self, directory: str, flag: str) -> None:
        self._open_files = contextlib.ExitStack()
        self._readers: dict[str, Callable[[str], Any]] = {}
        self.source, names = _weight_files(directory, flag)
        try:
            for name in names:
                path = os.path.join(directory, name)
                check_input_file(path, flag)
                open_file = _open_safetensors if name.endswith(".safetensors") else _open_pickle
                self._readers.update(open_file(self._open_files.enter_context(local_copy(path)), path))
        except BaseException:
            self.close()
            raise
        self._prefixed = any(name.startswith(BACKBONE_PREFIX) for name in self._readers)

    def close(self) -> None:
        """Closes the files."""
        self._readers.clear()
        self._open_files.close()

    def find(self, name: str) -> np.ndarray | None:
        """Returns a tensor as float32, or None if there is no tensor with this name."""
        for candidate in self._names_of(name):
            if candidate in self._readers:
                return np.asarray(self._readers[candidate](candidate)).astype(np.float32)
        return None

    def _names_of(self, name: str) -> Iterator[str]:
        """Yields the names that a tensor may have: without the model's prefix, with gamma and beta, or untied."""
        name = name if self._prefixed else name.removeprefix(BACKBONE_PREFIX)
        yield name
        if "LayerNorm." in name:
            yield name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        if name == _BIAS:
            yield _DECODER_BIAS

    def report_others(self, known: set[str]) -> None:
        """Logs the tensors that do not belong to a BERT, except for buffers and tied copies."""
        expected = {candidate for name in known for candidate in self._names_of(name)}
        others = sorted(name for name in set(self._readers) - expected if not name.endswith(_EXPECTED_OTHERS))
        if others:
            logging.warning("%s: %d other tensors are ignored; the first is %s", self.source, len(others), others[0])


def _weight_files(directory: str, flag: str) -> tuple[str, list[str]]:
    """Returns the path of the weight file, or of the index of several files, and the names of the files."""
    for name in _WEIGHT_FILES:
        path = os.path.join(directory, name)
        if not is_file(path):
            continue
        if not name.endswith(".index.json"):
            return path, [name]
        weight_map = read_json_object(path, flag).get("weight_map")
        if not isinstance(weight_map, dict) or not all(isinstance(shard, str) for shard in weight_map.values()):
            raise InputError(f"{path}: has no weight_map from tensors to files")
        return path, sorted(set(weight_map.values()))
    for name in _OTHER_FRAMEWORKS:
        if is_file(os.path.join(directory, name)):
            raise InputError(f"--{flag}={directory}: has {name} but no {WEIGHTS_NAME}; {_ADVICE}")
    raise InputError(f"--{flag}={directory}: has no {WEIGHTS_NAME}")


def _open_safetensors(local: str, path: str) -> dict[str, Callable[[str], Any]]:
    safetensors = safetensors_package()
    try:
        opened = safetensors.safe_open(local, framework="np")
    except safetensors.SafetensorError as error:
        raise InputError(f"{path}: is not a safetensors file: {one_line(error)}") from None
    return dict.fromkeys(opened.keys(), opened.get_tensor)


def _open_pickle(local: str, path: str) -> dict[str, Callable[[str], Any]]:
    try:
        import torch
    except ImportError:
        raise InputError(f"{path}: reading it requires PyTorch (pip install torch); or {_ADVICE}") from None
    try:
        # Files from before PyTorch 1.6 are not zip archives and cannot be memory-mapped.
        tensors = torch.load(local, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(local))
    except Exception as error:  # unpickling may raise anything
        raise InputError(f"{path}: is not a file of PyTorch weights: {one_line(error)[:200]}") from None
    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise InputError(f"{path}: contains no dictionary of tensors")
    return dict.fromkeys(tensors, lambda name: tensors[name].float().numpy())


def safetensors_package() -> ModuleType:
    """Returns the safetensors package with its NumPy module.

    Raises:
      InputError: the package is not installed.
    """
    try:
        import safetensors.numpy
    except ImportError:
        raise InputError(
            "Hugging Face checkpoints need the package safetensors: pip install '.[interop]' in a checkout of ambert-tf"
        ) from None
    return safetensors
