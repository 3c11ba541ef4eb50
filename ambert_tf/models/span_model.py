"""A model with heads on every fine position: what span extraction fine-tunes, predicts with and serves."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from ambert_tf.models.backbones import PAD_ID, build_model
from ambert_tf.models.config import ModelConfig
from ambert_tf.models.heads import ClassificationHeads

PADDING = -1e9  # logit of a position that is padding


class SpanModel(keras.Model):
    """One of the five models with heads for the first and the last token of an answer.

    Positions are fine positions whatever the model is (section 3.3 of the paper: "the representations of fine-grained
    tokens are concatenated with the representations of corresponding coarse-grained tokens"): the fine head reads the
    fine token's representation, the coarse head that of its coarse token, the joint head both. A BERT on the coarse
    grain has the coarse head alone, AMBERT-Hybrid, fine-tuned as BERT is, the fine one.

    Args:
      config: sizes.
      seed: of the initial weights.
      dtype: Keras' dtype policy; None for Keras' current one.
      static_shapes: compute padding in training too, as XLA's fixed shapes need.
    """

    num_classes = 2

    def __init__(
        self, config: ModelConfig, seed: int = 0, dtype: str | None = None, static_shapes: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(name=kwargs.pop("name", "spans"), dtype=dtype, **kwargs)
        self.config = config
        self.backbone = build_model(config, dtype=dtype, seed=seed, static_shapes=static_shapes)
        grains = self.backbone.classification_grains
        self.heads = ClassificationHeads(config, grains, self.num_classes, seed=seed, name="span_heads", dtype=dtype)
        self.heads.build()
        self.build()

    def build(self, input_shape: object = None) -> None:
        pass  # the parts are built already, each under its own name

    def call(
        self, inputs: Mapping[str, tf.Tensor], training: bool = False, seed: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Scores each fine position as the first and as the last of the answer.

        Args:
          inputs: the backbone's, and `fine_input_ids` and `fine_to_coarse`, int32 [batch, fine_length].
          training: whether dropout is on.
          seed: of the dropout, int32 [2].

        Returns:
          Logits, float32 [batch, fine_length, 2], by head; -1e9 at padding.
        """
        outputs = self.backbone(inputs, training=training, seed=seed)
        positions = dict(outputs)
        if "coarse" in outputs:
            positions["coarse"] = tf.gather(outputs["coarse"], inputs["fine_to_coarse"], batch_dims=1)
        size = self.config.hidden_size
        # BERT has no dropout between the encoder and this head.
        logits = self.heads(
            {grain: tf.reshape(positions[grain], [-1, size]) for grain in self.backbone.classification_grains}
        )
        real = inputs["fine_input_ids"] != PAD_ID
        shape = tf.concat([tf.shape(real), [self.num_classes]], axis=0)
        return {
            name: tf.where(real[:, :, tf.newaxis], tf.reshape(values, shape), PADDING)
            for name, values in logits.items()
        }
