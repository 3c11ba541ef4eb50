"""The weights of a served model, as float32 or smaller."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ambert_tf.errors import InputError

WEIGHTS_DTYPES = ("float32", "float16", "bfloat16", "int8")
TOKEN_TABLE = "_token_embeddings"


class Weights(tf.Module):
    """A model's variables as they are stored: matrices in a smaller type, made float32 where they are used.

    The model computes in float32 whatever the type: files get smaller, not calls faster. int8 has a scale for
    each output of a matrix, and for each row of an embedding table (symmetric, of the largest value). Of a token table
    only the rows that a call needs are made float32.

    Args:
      model: the model; float32.
      weights_dtype: `float32`, `float16`, `bfloat16` or `int8`.

    Raises:
      InputError: a weight is too large for float16.
    """

    def __init__(self, model: keras.Model, weights_dtype: str = "float32") -> None:
        super().__init__(name="weights")
        self.weights_dtype = weights_dtype
        # In a function tf.Module does not track it: Keras would bring its own metadata and functions along.
        self._model: Callable[[], keras.Model] = lambda: model
        # The plain variables alone, for the same reason.
        self.model_variables: list[tf.Variable] = []
        self.scales: list[tf.Variable] = []
        self._scale_index: dict[int, int] = {}
        for index, variable in enumerate(model.variables):
            if weights_dtype == "float32" or len(variable.shape) < 2:
                self.model_variables.append(variable.value)
                continue
            values = variable.numpy()
            if weights_dtype == "int8":
                by_row = variable.path.endswith("embeddings")
                scale = np.maximum(np.abs(values).max(axis=1 if by_row else 0, keepdims=True), 1e-12) / 127
                self._scale_index[index] = len(self.scales)
                self.scales.append(tf.Variable(scale.astype(np.float32), trainable=False, name="scale"))
                stored = tf.constant(np.rint(values / scale).astype(np.int8))
            else:
                stored = tf.cast(tf.constant(values), weights_dtype)
                if not np.isfinite(tf.cast(stored, tf.float32).numpy()).all():
                    raise InputError(f"--weights_dtype={weights_dtype}: {variable.path} has values too large for it")
            self.model_variables.append(tf.Variable(stored, trainable=False, name=variable.path.rsplit("/", 1)[-1]))

    @property
    def size_bytes(self) -> int:
        """Bytes of all weights."""
        return sum(variable.dtype.size * int(np.prod(variable.shape)) for variable in
                   (*self.model_variables, *self.scales))  # fmt: skip

    def _float32(self, index: int, rows: tf.Tensor | None = None) -> tf.Tensor:
        values: Any = self.model_variables[index]
        scale: Any = self.scales[self._scale_index[index]] if index in self._scale_index else None
        if rows is not None:
            values, scale = tf.gather(values, rows), scale if scale is None else tf.gather(scale, rows)
        values = tf.cast(values, tf.float32)
        return values if scale is None else values * scale

    def matrices(self) -> dict[int, tf.Tensor]:
        """Returns all but the token tables as float32, by their number; nothing if they are that already."""
        if self.weights_dtype == "float32":
            return {}
        return {
            index: self._float32(index)
            for index, variable in enumerate(self._model().variables)
            if len(variable.shape) > 1 and not variable.path.endswith(TOKEN_TABLE)
        }

    def call(
        self,
        matrices: Mapping[int, tf.Tensor],
        inputs: Mapping[str, tf.Tensor],
        function: Callable[[keras.Model, Mapping[str, tf.Tensor]], Any],
    ) -> Any:
        """Returns what a function of the model and its inputs returns, with these weights.

        Args:
          matrices: see `matrices`; made once for several calls.
          inputs: dense model inputs, int32 [rows, length].
          function: takes the model and inputs.
        """
        model = self._model()
        if self.weights_dtype == "float32":
            return function(model, inputs)
        variables = model.variables
        mapping = [(variables[index], value) for index, value in matrices.items()]
        inputs = dict(inputs)
        for index, variable in enumerate(variables):
            if variable.path.endswith(TOKEN_TABLE):
                # A table of the tokens that occur, padding first so that its id stays 0, and ids that count in it.
                key = f"{variable.path.rsplit('/', 1)[-1].removesuffix(TOKEN_TABLE)}_input_ids"
                ids = inputs[key]
                tokens, places = tf.unique(tf.concat([[0], tf.reshape(ids, [-1])], 0))
                inputs[key] = tf.reshape(places[1:], tf.shape(ids))
                mapping.append((variable, self._float32(index, tokens)))
        with keras.StatelessScope() as scope:
            for update in mapping:  # a scope's own mapping takes no table of fewer tokens
                scope.add_update(update)
            return function(model, inputs)
