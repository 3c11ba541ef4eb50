"""BERT's post-layer-norm Transformer encoder, which can encode several batches of sequences in one pass.

These layers replace `keras_hub.layers.TransformerEncoder` because they are faster. At `mini`, with 16 sequences of 128
tokens, forward and backward pass take 0.84 of its time without padding and 0.47 with 44 % real tokens, and a step of
`fit` takes 0.50 of that of KerasHub's BERT with 50 % real tokens (two AVX2 cores, `benchmarks/keras_fit.py`).
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from ambert_tf.models.config import ModelConfig
from ambert_tf.models.layers import Dense, LayerNormalization, activation_function, dropout
from ambert_tf.models.unpadding import PaddedTokens, TokenMatrix, UnpaddedTokens

MASKED_SCORE = -1e9  # added in float32 to the attention scores of padding positions
SITES_PER_LAYER = 3  # dropout sites


class EncoderPart(keras.layers.Layer):
    """Base class of the encoder's layers. `build` builds the sublayers listed in `parts`.

    Args:
      config: the model's sizes.
      seed: seed of the initial weights.
    """

    parts: Sequence[keras.layers.Layer]

    def __init__(self, config: ModelConfig, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.seed = seed

    def build(self, input_shape: object = None) -> None:
        for part in self.parts:
            part.build()

    def dense(self, input_dim: int, units: int, name: str) -> Dense:
        """Returns a dense layer with the model's initializer."""
        return Dense(
            input_dim, units, self.config.initializer_range, self.seed, name=name, dtype=self.dtype_policy
        )

    def layer_norm(self, name: str) -> LayerNormalization:
        """Returns a layer normalization over the hidden size."""
        config = self.config
        return LayerNormalization(config.hidden_size, config.layer_norm_eps, name=name, dtype=self.dtype_policy)


class SelfAttention(EncoderPart):
    """Multi-head self-attention within each sequence of one or more batches.

    The tokens of all batches are rows of one matrix, so each of the four projections is a single matrix product. Only
    attention scores and weighted sums are computed per batch.
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
        tokens: TokenMatrix,
        seed: tf.Tensor | None,
        site: int,
        return_weights: bool = False,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Applies self-attention.

        Args:
          hidden: [tokens, hidden], the concatenated batches.
          tokens: the layout of the sequences in `hidden`. Padding is not attended to.
          seed: dropout seed, or None for no dropout.
          site: number of the first dropout site.
          return_weights: whether to also return the attention weights.

        Returns:
          [tokens, hidden], and a list with the attention weights of each batch, [batch, heads, length, length], which
          is empty without `return_weights`.
        """
        heads = self.config.num_attention_heads
        head_size = self.config.hidden_size // heads
        rate = self.config.attention_probs_dropout_prob

        def by_batch(x: tf.Tensor) -> list[tf.Tensor]:
            return [
                tf.transpose(tf.reshape(part, [*shape, heads, head_size]), [0, 2, 1, 3])
                for part, shape in zip(tokens.separate(x), tokens.shapes, strict=True)
            ]

        queries = by_batch(self.query(hidden) * tf.constant(head_size**-0.5, self.compute_dtype))
        keys, values = by_batch(self.key(hidden)), by_batch(self.value(hidden))
        contexts, weights = [], []
        for index, real in enumerate(tokens.real):
            bias = tf.where(real, 0.0, MASKED_SCORE)[:, tf.newaxis, tf.newaxis, :]
            scores = tf.matmul(queries[index], keys[index], transpose_b=True)  # [batch, heads, length, length]
            probabilities = tf.nn.softmax(tf.cast(scores, tf.float32) + bias)
            probabilities = tf.cast(probabilities, self.compute_dtype)
            if return_weights:
                weights.append(probabilities)
            batch_seed = seed if seed is None else tf.random.experimental.stateless_fold_in(seed, index)
            context = tf.matmul(dropout(probabilities, rate, batch_seed, site), values[index])
            contexts.append(tf.reshape(tf.transpose(context, [0, 2, 1, 3]), [-1, self.config.hidden_size]))
        return self.output_dense(tokens.join(contexts)), weights


class EncoderLayer(EncoderPart):
    """One Transformer layer: self-attention and feed-forward, each followed by a residual and a layer norm."""

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
        tokens: TokenMatrix,
        seed: tf.Tensor | None,
        site: int,
        return_weights: bool = False,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Transforms [tokens, hidden]. Arguments and results are those of `SelfAttention`."""
        rate = self.config.hidden_dropout_prob
        attended, weights = self.attention(hidden, tokens=tokens, seed=seed, site=site, return_weights=return_weights)
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
        static_shapes: bool = False,
        return_weights: bool = False,
    ) -> tuple[list[tf.Tensor], list[list[tf.Tensor]]]:
        """Encodes one or more batches of sequences. Batches may differ in length.

        Training removes padding everywhere except in attention. Prediction keeps padding, like other BERT
        implementations, so that hidden states and attention weights can be compared with theirs at every position.

        Args:
          sequences: the batches, each [batch, length, hidden].
          real: for each batch, bool [batch, length], False at padding, which is not attended to.
          seed: dropout seed, or None outside training.
          static_shapes: whether to keep padding in training, which XLA requires.
          return_weights: whether to also return the attention weights.

        Returns:
          The representations of each batch, [batch, length, hidden], undefined at padding. For each layer, a list of
          the attention weights of each batch, [batch, heads, length, length], which is empty without `return_weights`.
        """
        size = self.config.hidden_size
        tokens: TokenMatrix = PaddedTokens(real) if seed is None or static_shapes else UnpaddedTokens(real)
        hidden = tokens.join([tf.reshape(sequence, [-1, size]) for sequence in sequences])
        weights = []
        for index, layer in enumerate(self.parts):
            hidden, layer_weights = layer(
                hidden, tokens=tokens, seed=seed, site=1 + SITES_PER_LAYER * index, return_weights=return_weights
            )
            weights.append(layer_weights)
        outputs = zip(tokens.separate(hidden), tokens.shapes, strict=True)
        return [tf.reshape(part, [*shape, size]) for part, shape in outputs], weights
