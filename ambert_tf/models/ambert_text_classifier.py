"""`AmbertTextClassifier`: a backbone with the heads of eq. (2), for tasks with one prediction per sequence."""

from collections.abc import Mapping
from typing import Any

import keras
import keras_hub
import tensorflow as tf

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.classification_heads import ClassificationHeads
from ambert_tf.models.layers import dropout_seed


@keras.saving.register_keras_serializable(package="ambert_tf")
class AmbertTextClassifier(keras_hub.models.TextClassifier):
    """A backbone with the classification heads of eq. (2).

    Args:
      backbone: an `AmbertBackbone`.
      num_classes: int. Logits per head; 1 for regression.
    """

    backbone_cls = AmbertBackbone

    def __init__(self, backbone: AmbertBackbone, num_classes: int, **kwargs: Any) -> None:
        # === Layers ===
        self.backbone = backbone
        self.config = backbone.config
        self.heads = ClassificationHeads(backbone, num_classes, name="classification_heads")
        self.heads.build()

        # === Functional Model ===
        inputs = dict(backbone.input)
        super().__init__(inputs=inputs, outputs=self.call(inputs), **kwargs)

        # === Config ===
        self.num_classes = num_classes

    def call(
        self, inputs: Mapping[str, tf.Tensor], training: bool = False, seed: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Classifies.

        Args:
          inputs: the backbone's.
          training: whether dropout is on.
          seed: of the dropout, int32 [2]; defaults to a random one.

        Returns:
          Logits, float32 [batch, num_classes], by head; the prediction is that of `joint`.
        """
        seed = dropout_seed(training, seed)
        outputs = self.backbone(inputs, training=training, seed=seed)
        pooled = {grain: outputs[f"{grain}_pooled_output"] for grain in self.backbone.classification_grains}
        return self.heads(pooled, seed=seed)

    @property
    def input_spec(self) -> None:
        """No fixed inputs: `call` ignores others, such as labels."""
        return None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes}
