"""BERT's masked-LM head, for one grain or for two grains with a shared encoder."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.layers import FLOAT32, Dense, LayerNormalization, activation_function


class MaskedLMHead(keras.layers.Layer):
    """A transform shared by the grains, followed by a projection to a grain's vocabulary.

    Args:
      backbone: the encoder. The output weights are tied to its token tables.
      grains: the grains that share the transform. Each has its own output bias.
    """

    def __init__(self, backbone: AmbertBackbone, grains: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(dtype=backbone.dtype_policy, **kwargs)
        self.config = config = backbone.config
        self.grains = grains
        # A bound method, because Keras would track a layer as part of this head.
        self._token_table = backbone.token_table
        self.activation = activation_function(config.hidden_act)
        size, policy = config.hidden_size, self.dtype_policy
        self.transform = Dense(
            size, size, config.initializer_range, backbone.seed, name="transform", dtype=policy
        )
        self.layer_norm = LayerNormalization(size, config.layer_norm_eps, name="layer_norm", dtype=policy)
        self.output_biases: dict[str, keras.Variable] = {}

    def build(self, input_shape: object = None) -> None:
        self.transform.build()
        self.layer_norm.build()
        for grain in self.grains:
            shape = (self.config.grain_vocab_size(grain),)
            name = f"{grain}_output_bias"
            self.output_biases[grain] = self.add_weight(name=name, shape=shape, initializer="zeros", **FLOAT32)

    def call(
        self,
        sequence_output: tf.Tensor,
        positions: tf.Tensor,
        weights: tf.Tensor,
        grain: str,
        static_shapes: bool = False,
    ) -> tf.Tensor:
        """Scores the vocabulary at the masked positions.

        Args:
          sequence_output: [batch, length, hidden].
          positions: int32 [batch, predictions].
          weights: [batch, predictions], 0 at padding.
          grain: the grain whose token table and bias to use.
          static_shapes: whether to include padding predictions, which XLA requires.

        Returns:
          Logits, float32 [predictions of the batch, vocab], sequence by sequence. Padding is removed unless
          `static_shapes`.
        """
        rows = tf.range(tf.shape(positions)[0])[:, tf.newaxis]
        flat = remove_padding(positions + rows * tf.shape(sequence_output)[1], weights, static_shapes)
        tokens = tf.reshape(sequence_output, [-1, self.config.hidden_size])
        hidden = self.layer_norm(self.activation(self.transform(tf.gather(tokens, flat))))
        table = tf.cast(tf.convert_to_tensor(self._token_table(grain).value), self.compute_dtype)
        logits = tf.matmul(hidden, table, transpose_b=True)
        return tf.nn.bias_add(tf.cast(logits, tf.float32), self.output_biases[grain].value)

    def compute_output_spec(self, *tensors: Any, grain: str, **kwargs: Any) -> keras.KerasTensor:
        return keras.KerasTensor((None, self.config.grain_vocab_size(grain)), "float32")


def remove_padding(values: tf.Tensor, weights: tf.Tensor, static_shapes: bool = False) -> tf.Tensor:
    """Flattens [batch, predictions] and removes padding predictions, unless `static_shapes`."""
    return tf.reshape(values, [-1]) if static_shapes else tf.boolean_mask(values, weights > 0)


def masked_lm_targets(
    inputs: Mapping[str, tf.Tensor], grain: str, static_shapes: bool = False
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the ids and weights that match the logits of `MaskedLMHead`, int32 and float32 [predictions].

    Args:
      inputs: `g_masked_lm_ids` and `g_masked_lm_weights`, [batch, predictions]. The weights are 0 at padding.
      grain: the grain g.
      static_shapes: as passed to the head.
    """
    weights = tf.cast(inputs[f"{grain}_masked_lm_weights"], tf.float32)
    ids = remove_padding(inputs[f"{grain}_masked_lm_ids"], weights, static_shapes)
    return ids, remove_padding(weights, weights, static_shapes)
