"""A BERT encoder shared by one or both grains."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from ambert_tf.models.config import ModelConfig
from ambert_tf.models.embeddings import Embeddings
from ambert_tf.models.encoder import Encoder
from ambert_tf.models.layers import Dense, dropout_seed

PAD_ID = 0

Weights = dict[str, list[tf.Tensor]]


@keras.saving.register_keras_serializable(package="ambert_tf")
class GrainEncoder(keras.layers.Layer):
    """Embeddings, Transformer layers and pooler, shared by the grains that it encodes.

    Args:
      config: the model's sizes.
      grains: the grains to encode.
      one_sequence: whether to encode the grains as one sequence, fine tokens first (AMBERT-Hybrid, eq. (3)), rather
        than separately.
      seed: seed of the initial weights.
    """

    def __init__(
        self, config: ModelConfig, grains: tuple[str, ...], one_sequence: bool = False, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.grains = grains
        self.one_sequence = one_sequence
        self.seed = seed
        size, policy = config.hidden_size, self.dtype_policy
        self.embeddings = Embeddings(config, grains, one_sequence, seed=seed, name="embeddings", dtype=policy)
        self.encoder = Encoder(config, seed, name="encoder", dtype=policy)
        self.pooler = Dense(size, size, config.initializer_range, seed, name="pooler", dtype=policy)

    def build_parts(self) -> None:
        """Builds the parts in the caller's name scope, which becomes the prefix of their variables' paths."""
        for part in (self.embeddings, self.encoder, self.pooler):
            part.build()
        self.built = True

    def build(self, input_shape: object = None) -> None:
        """Builds the parts of an encoder that was created from its configuration."""
        self.build_parts()

    def call(
        self,
        inputs: Mapping[str, tf.Tensor],
        grains: tuple[str, ...],
        seed: tf.Tensor | None = None,
        static_shapes: bool = False,
        return_weights: bool = False,
        training: bool | None = None,
    ) -> Any:
        """Encodes the given grains.

        Args:
          inputs: for each grain g, `g_input_ids` and `g_segment_ids`, int32 [batch, g_length]. Id 0 is padding.
          grains: the grains to return.
          seed: dropout seed, int32 [2], or None for no dropout.
          static_shapes: whether to keep padding in training.
          return_weights: whether to also return the attention weights.
          training: whether to draw a dropout seed if none is given, as in models made from `AmbertBackbone.output`.

        Returns:
          For each grain g, `g_sequence_output`, [batch, g_length, hidden], and `g_pooled_output`, [batch, hidden]. With
          `return_weights` also, by grain, a list of each layer's weights, [batch, heads, g_length, g_length].
        """
        if seed is None:
            seed = dropout_seed(bool(training), None)
        encoded = self.grains if self.one_sequence else grains
        embedded, real = [], []
        for index, grain in enumerate(encoded):
            ids = inputs[f"{grain}_input_ids"]
            grain_seed = seed if seed is None else tf.random.experimental.stateless_fold_in(seed, index)
            embedded.append(self.embeddings(ids, inputs[f"{grain}_segment_ids"], grain=grain, seed=grain_seed))
            real.append(tf.not_equal(ids, PAD_ID))
        if self.one_sequence:
            fine_length = tf.shape(embedded[0])[1]
            embedded, real = [tf.concat(embedded, 1)], [tf.concat(real, 1)]
        sequences, weights = self.encoder(
            embedded, real, seed=seed, static_shapes=static_shapes, return_weights=return_weights
        )
        if self.one_sequence:
            sequences = [sequences[0][:, :fine_length], sequences[0][:, fine_length:]]
        sequence_outputs = dict(zip(encoded, sequences, strict=True))
        outputs = {f"{grain}_sequence_output": sequence_outputs[grain] for grain in grains}
        outputs |= {f"{grain}_pooled_output": self._pool(sequence_outputs[grain]) for grain in grains}
        if not return_weights:
            return outputs
        by_grain = [[layer[0 if self.one_sequence else i] for layer in weights] for i in range(len(encoded))]
        return outputs, dict(zip(encoded, by_grain, strict=True))

    def _pool(self, sequence_output: tf.Tensor) -> tf.Tensor:
        # A slice and a reshape instead of an index, because an empty batch has no first token.
        return tf.tanh(self.pooler(tf.reshape(sequence_output[:, :1], [-1, self.config.hidden_size])))

    def compute_output_spec(
        self, inputs: Mapping[str, keras.KerasTensor], grains: tuple[str, ...], **kwargs: Any
    ) -> dict[str, keras.KerasTensor]:
        # Without this method, Keras would trace the whole encoder to infer the shapes.
        shapes = {grain: inputs[f"{grain}_input_ids"].shape for grain in grains}
        size = self.config.hidden_size
        outputs = {
            f"{grain}_sequence_output": keras.KerasTensor((*shape, size), self.compute_dtype)
            for grain, shape in shapes.items()
        }
        return outputs | {
            f"{grain}_pooled_output": keras.KerasTensor((shape[0], size), self.compute_dtype)
            for grain, shape in shapes.items()
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "config": self.config.to_dict(),
            "grains": self.grains,
            "one_sequence": self.one_sequence,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "GrainEncoder":
        sizes = ModelConfig(**config["config"])
        return cls(**{**config, "config": sizes, "grains": tuple(config["grains"])})
