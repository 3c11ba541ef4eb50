"""`AmbertSpanExtractor`: a backbone with heads on every fine position, for question answering."""

from collections.abc import Mapping
from typing import Any

import keras
import keras_hub
import tensorflow as tf

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.classification_heads import SpanHeads


@keras.saving.register_keras_serializable(package="ambert_tf")
class AmbertSpanExtractor(keras_hub.models.Task):
    """A backbone with heads for the first and the last token of an answer.

    Positions are fine positions for every `model_type` (§3.3 of the paper: "the representations of fine-grained tokens
    are concatenated with the representations of corresponding coarse-grained tokens"): the fine head reads the fine
    token's representation, the coarse head that of its coarse token, the joint head both. A BERT on the coarse grain
    has the coarse head only; AMBERT-Hybrid, fine-tuned as BERT is, the fine one.

    Args:
      backbone: an `AmbertBackbone`.
    """

    backbone_cls = AmbertBackbone

    def __init__(self, backbone: AmbertBackbone, **kwargs: Any) -> None:
        # === Layers ===
        self.backbone = backbone
        self.config = backbone.config
        self.heads = SpanHeads(backbone, name="span_heads")
        self.heads.build_parts()

        # === Functional Model ===
        inputs = dict(backbone.input)
        for name in ("fine_input_ids", "fine_to_coarse"):
            if name not in inputs:
                inputs[name] = keras.Input((None,), dtype="int32", name=name)
        super().__init__(inputs=inputs, outputs=self.call(inputs), **kwargs)

    def call(
        self, inputs: Mapping[str, tf.Tensor], training: bool = False, seed: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Scores each fine position as the first and as the last of the answer.

        Args:
          inputs: the backbone's, and `fine_input_ids` and `fine_to_coarse`, int32 [batch, fine_length].
          training: whether dropout is on.
          seed: of the dropout, int32 [2]; defaults to a random one.

        Returns:
          Logits, float32 [batch, fine_length, 2], by head; `MASKED_LOGIT` at padding.
        """
        outputs = self.backbone(inputs, training=training, seed=seed)
        # BERT has no dropout between the encoder and this head.
        return self.heads(
            outputs, fine_input_ids=inputs["fine_input_ids"], fine_to_coarse=inputs["fine_to_coarse"]
        )

    @property
    def input_spec(self) -> None:
        """No fixed inputs: `call` ignores others, such as labels."""
        return None
