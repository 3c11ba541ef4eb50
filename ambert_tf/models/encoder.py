"""BERT's Transformer encoder (post-layer-norm), for one or more batches of sequences at once."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from ambert_tf.models.config import ModelConfig
from ambert_tf.models.layers import Dense, LayerNormalization, activation_function, dropout
from ambert_tf.models.unpadding import PackedRows, PaddedRows, Rows

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
        rows: Rows,
        seed: tf.Tensor | None,
        site: int,
        return_weights: bool = False,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Attends.

        Args:
          hidden: [tokens, hidden], the batches one after the other.
          rows: how the tokens stand there; nothing attends to padding.
          seed: of the dropout; None for none.
          site: the first number of a dropout place.
          return_weights: also return the attention weights.

        Returns:
          [tokens, hidden], and for each batch the weights [batch, heads, length, length] (if asked for).
        """
        heads = self.config.num_attention_heads
        head_size = self.config.hidden_size // heads
        rate = self.config.attention_probs_dropout_prob

        def by_batch(x: tf.Tensor) -> list[tf.Tensor]:
            return [
                tf.transpose(tf.reshape(part, [*shape, heads, head_size]), [0, 2, 1, 3])
                for part, shape in zip(rows.separate(x), rows.shapes, strict=True)
            ]

        queries = by_batch(self.query(hidden) * tf.constant(head_size**-0.5, self.compute_dtype))
        keys, values = by_batch(self.key(hidden)), by_batch(self.value(hidden))
        contexts, weights = [], []
        for index, positions in enumerate(rows.real):
            bias = tf.where(positions, 0.0, MASKED_SCORE)[:, tf.newaxis, tf.newaxis, :]
            scores = tf.matmul(queries[index], keys[index], transpose_b=True)  # [batch, heads, length, length]
            probabilities = tf.nn.softmax(tf.cast(scores, tf.float32) + bias)
            probabilities = tf.cast(probabilities, self.compute_dtype)
            if return_weights:
                weights.append(probabilities)
            part_seed = seed if seed is None else tf.random.experimental.stateless_fold_in(seed, index)
            context = tf.matmul(dropout(probabilities, rate, part_seed, site), values[index])
            contexts.append(tf.reshape(tf.transpose(context, [0, 2, 1, 3]), [-1, self.config.hidden_size]))
        return self.output_dense(rows.join(contexts)), weights


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
        rows: Rows,
        seed: tf.Tensor | None,
        site: int,
        return_weights: bool = False,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Transforms [tokens, hidden]; arguments and results as `SelfAttention`'s."""
        rate = self.config.hidden_dropout_prob
        attended, weights = self.attention(hidden, rows=rows, seed=seed, site=site, return_weights=return_weights)
        hidden = self.attention_layer_norm(hidden + dropout(attended, rate, seed, site + 1))
        output = self.output_dense(self.activation(self.intermediate(hidden)))
        return self.output_layer_norm(hidden + dropout(output, rate, seed, site + 2)), weights


class Encoder(EncoderPart):
    """The stack of Transformer layers.

    Args:
      config: the model's sizes.
      seed: of the initial weights.
      static_shapes: compute padding in training too, as XLA's fixed shapes need.
    """

    def __init__(self, config: ModelConfig, seed: int = 0, static_shapes: bool = False, **kwargs: Any) -> None:
        super().__init__(config, seed, **kwargs)
        self.static_shapes = static_shapes
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

        Training leaves padding out but for the attention. Prediction computes it as other BERTs do: hidden states and
        attention weights can be compared with theirs at every position.

        Args:
          sequences: each [batch, length, hidden].
          real: for each of them bool [batch, length], False at padding, which nothing attends to.
          seed: of the dropout; None where nothing is trained.
          return_weights: also return the attention weights.

        Returns:
          The representations, each [batch, length, hidden], of no meaning at padding; and a list with the
          attention weights of each layer, each a list with one [batch, heads, length, length] a batch of
          sequences (if asked for).
        """
        size = self.config.hidden_size
        rows = PaddedRows(real) if seed is None or self.static_shapes else PackedRows(real)
        hidden = rows.join([tf.reshape(sequence, [-1, size]) for sequence in sequences])
        weights = []
        for index, layer in enumerate(self.parts):
            hidden, layer_weights = layer(
                hidden, rows=rows, seed=seed, site=1 + SITES_PER_LAYER * index, return_weights=return_weights
            )
            weights.append(layer_weights)
        outputs = zip(rows.separate(hidden), rows.shapes, strict=True)
        return [tf.reshape(part, [*shape, size]) for part, shape in outputs], weights
