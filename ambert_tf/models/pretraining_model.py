"""A model with its masked-LM heads: what pre-training trains."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from ambert_tf.models.backbones import build_model
from ambert_tf.models.config import ModelConfig
from ambert_tf.models.heads import MaskedLanguageModelHead
from ambert_tf.models.layers import Dense


class Predictions(NamedTuple):
    """One grain's masked-LM predictions: logits float32 [predictions, vocab], ids, weights [predictions]."""

    logits: tf.Tensor
    ids: tf.Tensor
    weights: tf.Tensor


# The paths of the variables of its heads begin so.
PRETRAINING_HEADS = ("masked_lm_head/", "fine_masked_lm_head/", "coarse_masked_lm_head/", "next_sentence_head/")


class PretrainingModel(keras.Model):
    """One of the five models with a masked-LM head a grain, and a next-sentence head if asked for.

    Grains that share an encoder share the head's transform; AMBERT-Combo has two complete heads.

    Args:
      config: sizes.
      next_sentence: whether there is a next-sentence head.
      static_shapes: compute padding tokens and padding predictions too, as XLA's fixed shapes need; their weight is 0.
      seed: of the initial weights.
    """

    def __init__(
        self,
        config: ModelConfig,
        next_sentence: bool = False,
        static_shapes: bool = False,
        seed: int = 0,
        dtype: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=kwargs.pop("name", "pretraining"), dtype=dtype, **kwargs)
        self.config = config
        self.static_shapes = static_shapes
        self.backbone = build_model(config, dtype=dtype, seed=seed, static_shapes=static_shapes)
        self.masked_lm_heads: dict[str, MaskedLanguageModelHead] = {}
        if config.model_type == "ambert_combo":
            for grain in config.grains:
                name = f"{grain}_masked_lm_head"
                self.masked_lm_heads[grain] = MaskedLanguageModelHead(config, (grain,), seed, name=name, dtype=dtype)
        else:
            head = MaskedLanguageModelHead(config, config.grains, seed, name="masked_lm_head", dtype=dtype)
            self.masked_lm_heads = dict.fromkeys(config.grains, head)
        for head in {id(head): head for head in self.masked_lm_heads.values()}.values():
            head.build()
        self.next_sentence_head: Dense | None = None
        if next_sentence:
            self.next_sentence_head = Dense(
                config.hidden_size, 2, initializer_range=config.initializer_range, seed=seed,
                name="next_sentence_head", dtype=dtype,
            )  # fmt: skip
            self.next_sentence_head.build()
        self.build()

    def build(self, input_shape: object = None) -> None:
        pass  # the parts are built already, each under its own name

    def call(
        self, inputs: Mapping[str, tf.Tensor], training: bool = False, seed: tf.Tensor | None = None
    ) -> dict[str, Any]:
        """Predicts the masked tokens.

        Args:
          inputs: the backbone's, and for each grain g `g_masked_lm_positions` and `g_masked_lm_ids`, int32
            [batch, g_predictions], and `g_masked_lm_weights`, float32, 0 at padding.
          training: whether dropout is on.
          seed: of the dropout, int32 [2].

        Returns:
          `Predictions` by grain; with a next-sentence head also `next_sentence`, logits float32 [batch, 2]
          of the first grain's pooled `[CLS]`.
        """
        sequence_outputs = self.backbone(inputs, training=training, seed=seed)
        outputs: dict[str, Any] = {}
        for grain in self.config.grains:
            length = tf.shape(inputs[f"{grain}_input_ids"])[1]
            positions, ids, weights = masked_positions(inputs, grain, length, self.static_shapes)
            table = tf.convert_to_tensor(self.backbone.token_embeddings(grain).value)
            head = self.masked_lm_heads[grain]
            logits = head(sequence_outputs[grain], positions, token_embeddings=table, grain=grain)
            outputs[grain] = Predictions(logits, ids, weights)
        if self.next_sentence_head is not None:
            grain = self.config.grains[0]
            pooled = self.backbone.pool(grain, sequence_outputs[grain])
            outputs["next_sentence"] = tf.cast(self.next_sentence_head(pooled), tf.float32)
        return outputs


def masked_positions(
    inputs: Mapping[str, tf.Tensor], grain: str, length: tf.Tensor, static_shapes: bool = False
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns one grain's masked positions, their ids and weights.

    The positions are counted through the batch: `row * length + position`. All are [predictions];
    only the real ones unless `static_shapes`.
    """
    positions, ids = inputs[f"{grain}_masked_lm_positions"], inputs[f"{grain}_masked_lm_ids"]
    weights = tf.cast(inputs[f"{grain}_masked_lm_weights"], tf.float32)
    rows = tf.range(tf.shape(positions)[0])[:, tf.newaxis]
    flat = positions + rows * length
    if static_shapes:
        return tf.reshape(flat, [-1]), tf.reshape(ids, [-1]), tf.reshape(weights, [-1])
    real = weights > 0
    return tf.boolean_mask(flat, real), tf.boolean_mask(ids, real), tf.boolean_mask(weights, real)
