"""`AmbertMultipleChoice`: a backbone with the heads of eq. (2), whose classes are the choices of an example."""

from collections.abc import Mapping
from typing import Any

import keras
import keras_hub
import tensorflow as tf

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.classification_heads import MASKED_LOGIT, ClassificationHeads
from ambert_tf.models.grain_encoder import PAD_ID
from ambert_tf.models.layers import dropout_seed


@keras.saving.register_keras_serializable(package="ambert_tf")
class AmbertMultipleChoice(keras_hub.models.Task):
    """A backbone with the heads of eq. (2) that give each choice of an example one logit.

    Args:
      backbone: an `AmbertBackbone`.
    """

    backbone_cls = AmbertBackbone

    def __init__(self, backbone: AmbertBackbone, **kwargs: Any) -> None:
        # === Layers ===
        self.backbone = backbone
        self.config = backbone.config
        self.flatten_choices = FlattenChoices(name="flatten_choices")
        self.restore_choices = RestoreChoices(name="restore_choices")
        self.heads = ClassificationHeads(backbone, num_classes=1, name="classification_heads")
        self.heads.build()

        # === Functional Model ===
        inputs = {
            name: keras.Input((None, None), dtype="int32", name=name) for name in backbone.input
        }
        super().__init__(inputs=inputs, outputs=self.call(inputs), **kwargs)

    def call(
        self, inputs: Mapping[str, tf.Tensor], training: bool = False, seed: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Scores the choices.

        Args:
          inputs: for each grain g `g_input_ids` and `g_segment_ids`, int32 [batch, choices, g_length]; where an
            example has fewer choices, the missing ones are all padding.
          training: whether dropout is on.
          seed: of the dropout, int32 [2]; defaults to a random one.

        Returns:
          Logits, float32 [batch, choices], by head; `MASKED_LOGIT` for a missing choice. The prediction is that of
          `joint`.
        """
        seed = dropout_seed(training, seed)
        read = {name: inputs[name] for name in self.backbone.input}
        outputs = self.backbone(self.flatten_choices(read), training=training, seed=seed)
        pooled = {grain: outputs[f"{grain}_pooled_output"] for grain in self.backbone.classification_grains}
        ids = inputs[f"{self.config.grains[0]}_input_ids"]
        return self.restore_choices(self.heads(pooled, seed=seed), input_ids=ids)

    @property
    def input_spec(self) -> None:
        """No fixed inputs: `call` ignores others, such as labels."""
        return None


class FlattenChoices(keras.layers.Layer):
    """Makes sequences [batch * choices, length] of choices [batch, choices, length]."""

    def call(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {name: tf.reshape(value, [-1, tf.shape(value)[2]]) for name, value in inputs.items()}

    def compute_output_spec(self, inputs: Mapping[str, keras.KerasTensor]) -> dict[str, keras.KerasTensor]:
        return {name: keras.KerasTensor((None, value.shape[2]), value.dtype) for name, value in inputs.items()}


class RestoreChoices(keras.layers.Layer):
    """Makes logits [batch, choices] of logits [batch * choices, 1]; `MASKED_LOGIT` for a choice that is all padding."""

    def call(self, logits: Mapping[str, tf.Tensor], input_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        exists = input_ids[:, :, 0] != PAD_ID
        return {
            name: tf.where(exists, tf.reshape(values, tf.shape(exists)), MASKED_LOGIT)
            for name, values in logits.items()
        }

    def compute_output_spec(self, logits: Mapping[str, Any], input_ids: keras.KerasTensor) -> dict[str, Any]:
        return {name: keras.KerasTensor(input_ids.shape[:2], "float32") for name in logits}
