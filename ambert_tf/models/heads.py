"""The heads on top of the encoders: masked language model, next sentence, classification."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from ambert_tf.models.config import ModelConfig
from ambert_tf.models.layers import Dense, LayerNormalization, activation_function, dropout

POOLED_SITE = 1_000_000  # dropout place of the heads, beyond those of any encoder


class MaskedLanguageModelHead(keras.layers.Layer):
    """BERT's masked-LM head: a transform, then scores by a grain's own token table and its own bias.

    Args:
      config: the model's sizes.
      grains: the grains that share the transform; each has a bias of its own.
    """

    def __init__(self, config: ModelConfig, grains: tuple[str, ...], seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.grains = grains
        self.activation = activation_function(config.hidden_act)
        size, policy = config.hidden_size, self.dtype_policy
        self.transform = Dense(
            size, size, initializer_range=config.initializer_range, seed=seed, name="transform", dtype=policy
        )
        self.layer_norm = LayerNormalization(size, config.layer_norm_eps, name="layer_norm", dtype=policy)
        self.output_biases: dict[str, keras.Variable] = {}

    def build(self, input_shape: object = None) -> None:
        self.transform.build()
        self.layer_norm.build()
        for grain in self.grains:
            shape = (self.config.grain_vocab_size(grain),)
            name = f"{grain}_output_bias"
            self.output_biases[grain] = self.add_weight(name=name, shape=shape, initializer="zeros", autocast=False)

    def call(
        self, sequence_output: tf.Tensor, positions: tf.Tensor, token_embeddings: tf.Tensor, grain: str
    ) -> tf.Tensor:
        """Scores the vocabulary at some positions.

        Args:
          sequence_output: [batch, length, hidden].
          positions: int32 [predictions], counted through the batch: `row * length + position`.
          token_embeddings: the grain's table [vocab, hidden].
          grain: whose bias to use.

        Returns:
          Logits, float32 [predictions, vocab].
        """
        tokens = tf.reshape(sequence_output, [-1, self.config.hidden_size])
        hidden = self.layer_norm(self.activation(self.transform(tf.gather(tokens, positions))))
        logits = tf.matmul(hidden, tf.cast(token_embeddings, self.compute_dtype), transpose_b=True)
        return tf.nn.bias_add(tf.cast(logits, tf.float32), self.output_biases[grain].value)


class ClassificationHeads(keras.layers.Layer):
    """The heads of eq. (2): on the fine `[CLS]`, on the coarse one, and on both joined.

    With one grain there is one head, and `joint` is another name for its logits.

    Args:
      config: the model's sizes.
      grains: the grains that have a head: `model.classification_grains`.
      num_classes: logits a head; 1 for regression and multiple choice.
      seed: of the initial weights.
    """

    def __init__(
        self, config: ModelConfig, grains: tuple[str, ...], num_classes: int, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.grains = grains
        self.num_classes = num_classes
        names = (*grains, "joint") if len(grains) > 1 else grains
        self.heads = {
            name: Dense(
                config.hidden_size * (len(grains) if name == "joint" else 1),
                num_classes,
                name=name,
                seed=seed,
                initializer_range=config.initializer_range,
                dtype=self.dtype_policy,
            )
            for name in names
        }

    def build(self, input_shape: object = None) -> None:
        for head in self.heads.values():
            head.build()

    def call(self, pooled: Mapping[str, tf.Tensor], seed: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Returns logits, float32 [batch, num_classes], by head.

        Args:
          pooled: `model.pool` of each grain, [batch, hidden]; where grains are left out, so are the heads
            that need them.
          seed: of the dropout, int32 [2]; None for none.
        """
        rate = self.config.hidden_dropout_prob
        dropped = {
            grain: dropout(pooled[grain], rate, seed, POOLED_SITE + index)
            for index, grain in enumerate(self.grains)
            if grain in pooled
        }
        logits = {grain: tf.cast(self.heads[grain](x), tf.float32) for grain, x in dropped.items()}
        if len(self.grains) == 1:
            logits["joint"] = logits[self.grains[0]]
        elif len(dropped) == len(self.grains):
            both = tf.concat([dropped[grain] for grain in self.grains], axis=-1)
            logits["joint"] = tf.cast(self.heads["joint"](both), tf.float32)
        return logits
