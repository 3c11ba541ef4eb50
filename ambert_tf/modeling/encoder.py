"""BERT's Transformer encoder (post-layer-norm), for one or more batches of sequences at once."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from ambert_tf.modeling.config import ModelConfig
from ambert_tf.modeling.layers import Dense, LayerNormalization, activation_function, dropout

MASKED_SCORE = -1e9  # added in float32 to the attention score of a padding position
SITES_PER_LAYER = 3  # places with dropout


class EncoderPart(keras.layers.Layer):
    """What the parts of an encoder have in common: sizes, a seed, and layers to build, which are their `parts`.

    Args:
      config: the model's sizes.
      seed: of the initial weights.
    """

    parts: Sequence[keras.layers.Layer]

    def __init__(self, config: ModelConfig, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.seed = seed

    def build(self, input_shape: object = None) -> None:
        for part in self.parts:
            part.build()

    def dense(self, inputs: int, outputs: int, name: str) -> Dense:
        """Returns a matrix product and a bias."""
        spread = self.config.initializer_range
        return Dense(inputs, outputs, initializer_range=spread, seed=self.seed, name=name, dtype=self.dtype_policy)

    def layer_norm(self, name: str) -> LayerNormalization:
        """Returns a layer normalisation of the hidden size."""
        config = self.config
        return LayerNormalization(config.hidden_size, config.layer_norm_eps, name=name, dtype=self.dtype_policy)


class SelfAttention(EncoderPart):
    """Multi-head self-attention of tokens that belong to sequences of several batches.

    The tokens of all batches stand in one matrix, so that the products with the weights, which all
    tokens share, are one each; only scores and sums stay inside each sequence.
    """

    def __init__(self, config: ModelConfig, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, seed, **kwargs)
        size = config.hidden_size
        self.query = self.dense(size, size, "query")
        self.key = self.dense(size, size, "key")
        self.value = self.dense(size, size, "value")
        self.output_dense = self.dense(size, size, "output")
        self.parts = (self.query, self.key, self.value, self.output_dense)

    def call(
        self,
        hidden: tf.Tensor,
        real: Sequence[tf.Tensor],
        seed: tf.Tensor | None,
        site: int,
        return_weights: bool = False,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Attends.

        Args:
          hidden: [tokens, hidden], the batches one after the other.
          real: for each batch of sequences bool [batch, length], False at padding, which nothing attends to.
          seed: of the dropout; None for none.
          site: the first number of a dropout place.
          return_weights: also return the attention weights.

        Returns:
          [tokens, hidden], and for each batch the weights [batch, heads, length, length] (if asked for).
        """
        heads = self.config.num_attention_heads
        head_size = self.config.hidden_size // heads
        rate = self.config.attention_probs_dropout_prob
        shapes = [_shape(positions) for positions in real]
        counts = [batch * length for batch, length in shapes]

        def by_batch(x: tf.Tensor) -> list[tf.Tensor]:
            parts = tf.split(x, counts) if len(counts) > 1 else [x]
            return [
                tf.transpose(tf.reshape(part, [*shape, heads, head_size]), [0, 2, 1, 3])
                for part, shape in zip(parts, shapes, strict=True)
            ]

        queries = by_batch(self.query(hidden) * tf.constant(head_size**-0.5, self.compute_dtype))
        keys, values = by_batch(self.key(hidden)), by_batch(self.value(hidden))
        contexts, weights = [], []
        for index, positions in enumerate(real):
            bias = tf.where(positions, 0.0, MASKED_SCORE)[:, tf.newaxis, tf.newaxis, :]
            scores = tf.matmul(queries[index], keys[index], transpose_b=True)  # [batch, heads, length, length]
            probabilities = tf.nn.softmax(tf.cast(scores, tf.float32) + bias)
            probabilities = tf.cast(probabilities, self.compute_dtype)
            if return_weights:
                weights.append(probabilities)
            part_seed = seed if seed is None else tf.random.experimental.stateless_fold_in(seed, index)
            context = tf.matmul(dropout(probabilities, rate, part_seed, site), values[index])
            contexts.append(tf.reshape(tf.transpose(context, [0, 2, 1, 3]), [-1, self.config.hidden_size]))
        context = tf.concat(contexts, axis=0) if len(contexts) > 1 else contexts[0]
        return self.output_dense(context), weights


def _shape(matrix: tf.Tensor) -> list[int | tf.Tensor]:
    dynamic = tf.shape(matrix)
    return [dynamic[axis] if size is None else size for axis, size in enumerate(matrix.shape)]


class EncoderLayer(EncoderPart):
    """One Transformer layer: self-attention, then feed-forward, a residual and a layer norm after each."""

    def __init__(self, config: ModelConfig, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, seed, **kwargs)
        self.activation = activation_function(config.hidden_act)
        size, intermediate_size = config.hidden_size, config.intermediate_size
        self.attention = SelfAttention(config, seed, name="attention", dtype=self.dtype_policy)
        self.attention_layer_norm = self.layer_norm("attention_layer_norm")
        self.intermediate = self.dense(size, intermediate_size, "intermediate")
        self.output_dense = self.dense(intermediate_size, size, "output")
        self.output_layer_norm = self.layer_norm("output_layer_norm")
        self.parts = (
            self.attention, self.attention_layer_norm, self.intermediate, self.output_dense, self.output_layer_norm,
        )  # fmt: skip

    def call(
        self,
        hidden: tf.Tensor,
        real: Sequence[tf.Tensor],
        seed: tf.Tensor | None,
        site: int,
        return_weights: bool = False,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Transforms [tokens, hidden]; arguments and results as `SelfAttention`'s."""
        rate = self.config.hidden_dropout_prob
        attended, weights = self.attention(hidden, real, seed=seed, site=site, return_weights=return_weights)
        hidden = self.attention_layer_norm(hidden + dropout(attended, rate, seed, site + 1))
        output = self.output_dense(self.activation(self.intermediate(hidden)))
        return self.output_layer_norm(hidden + dropout(output, rate, seed, site + 2)), weights


class Encoder(EncoderPart):
    """The stack of Transformer layers."""

    def __init__(self, config: ModelConfig, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, seed, **kwargs)
        self.parts = tuple(
            EncoderLayer(config, seed, name=f"layer_{index}", dtype=self.dtype_policy)
            for index in range(config.num_hidden_layers)
        )

    def call(
        self,
        sequences: Sequence[tf.Tensor],
        real: Sequence[tf.Tensor],
        seed: tf.Tensor | None = None,
        return_weights: bool = False,
    ) -> tuple[list[tf.Tensor], list[list[tf.Tensor]]]:
        """Encodes batches of sequences; each batch has a length of its own, and pays for no other's.

        Args:
          sequences: each [batch, length, hidden].
          real: for each of them bool [batch, length], False at padding, which nothing attends to.
          seed: of the dropout; None for none.
          return_weights: also return the attention weights.

        Returns:
          The representations, each [batch, length, hidden]; and a list with the attention weights of each
          layer, each a list with one [batch, heads, length, length] a batch of sequences (if asked for).
        """
        size = self.config.hidden_size
        flat = [tf.reshape(sequence, [-1, size]) for sequence in sequences]
        hidden = tf.concat(flat, axis=0) if len(flat) > 1 else flat[0]
        weights = []
        for index, layer in enumerate(self.parts):
            hidden, layer_weights = layer(
                hidden, real, seed=seed, site=1 + SITES_PER_LAYER * index, return_weights=return_weights
            )
            weights.append(layer_weights)
        shapes = [_shape(positions) for positions in real]
        parts = tf.split(hidden, [batch * length for batch, length in shapes]) if len(flat) > 1 else [hidden]
        return [tf.reshape(part, [*shape, size]) for part, shape in zip(parts, shapes, strict=True)], weights
