"""The weights of a KerasHub preset of this project, read like a checkpoint."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from ambert_tf.errors import InputError, one_line
from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_masked_lm import AmbertMaskedLM
from ambert_tf.models.preset_files import MASKED_LM_NAME, preset_task_name


class PresetReader:
    """The encoder and the pre-training heads of a preset, with the interface of TensorFlow's checkpoint reader.

    Args:
      weights: path of the preset's weights file.
      key: maps a variable's path to its name in a checkpoint.

    Raises:
      InputError: the weights cannot be read.
    """

    def __init__(self, weights: str, key: Callable[[str], str]) -> None:
        directory = os.path.dirname(weights)
        kind = AmbertMaskedLM if preset_task_name(directory) == MASKED_LM_NAME else AmbertBackbone
        try:
            model = kind.from_preset(directory, dtype="float32")
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{directory}: this preset cannot be read: {one_line(error)}") from None
        self._values = {key(variable.path): np.asarray(variable) for variable in model.weights}

    def get_variable_to_shape_map(self) -> dict[str, tuple[int, ...]]:
        """Returns the shapes of all variables by name."""
        return {name: value.shape for name, value in self._values.items()}

    def get_tensor(self, name: str) -> np.ndarray[Any, Any]:
        """Returns the value of a variable."""
        return self._values[name]
