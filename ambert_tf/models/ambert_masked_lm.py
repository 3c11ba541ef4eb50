"""`AmbertMaskedLM`: a backbone with its masked-LM heads, which pre-training trains with eq. (1)."""

from collections.abc import Mapping
from typing import Any

import keras
import keras_hub
import tensorflow as tf

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.layers import Dense, dropout_seed
from ambert_tf.models.masked_lm_head import MaskedLMHead

# The paths of the variables of the heads begin with these.
PRETRAINING_HEADS = ("masked_lm_head/", "fine_masked_lm_head/", "coarse_masked_lm_head/", "next_sentence_head/")


@keras.saving.register_keras_serializable(package="ambert_tf")
class AmbertMaskedLM(keras_hub.models.MaskedLM):
    """A backbone with a masked-LM head per grain, and optionally a next-sentence head.

    Grains that share an encoder share the head's transform; AMBERT-Combo has two complete heads.

    Args:
      backbone: an `AmbertBackbone`.
      next_sentence: bool. Whether there is a next-sentence head.
    """

    backbone_cls = AmbertBackbone

    def __init__(self, backbone: AmbertBackbone, next_sentence: bool = False, **kwargs: Any) -> None:
        # === Layers ===
        self.backbone = backbone
        self.config = config = backbone.config
        self.masked_lm_heads: dict[str, MaskedLMHead] = {}
        if config.model_type == "ambert_combo":
            for grain in config.grains:
                head = MaskedLMHead(backbone, (grain,), name=f"{grain}_masked_lm_head")
                self.masked_lm_heads[grain] = head
        else:
            head = MaskedLMHead(backbone, config.grains, name="masked_lm_head")
            self.masked_lm_heads = dict.fromkeys(config.grains, head)
        for head in {id(head): head for head in self.masked_lm_heads.values()}.values():
            head.build()
        self.next_sentence_head: Dense | None = None
        if next_sentence:
            self.next_sentence_head = Dense(
                config.hidden_size, 2, config.initializer_range, backbone.seed,
                name="next_sentence_head", dtype=backbone.dtype_policy,
            )  # fmt: skip
            self.next_sentence_head.build()

        # === Functional Model ===
        inputs = dict(backbone.input)
        for grain in config.grains:
            for name, dtype in (("masked_lm_positions", "int32"), ("masked_lm_weights", "float32")):
                inputs[f"{grain}_{name}"] = keras.Input((None,), dtype=dtype, name=f"{grain}_{name}")
        super().__init__(inputs=inputs, outputs=self.call(inputs), **kwargs)

        # === Config ===
        self.next_sentence = next_sentence

    def call(
        self, inputs: Mapping[str, tf.Tensor], training: bool = False, seed: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Predicts the masked tokens.

        Args:
          inputs: the backbone's, and for each grain g `g_masked_lm_positions`, int32 [batch, g_predictions], and
            `g_masked_lm_weights`, float32 [batch, g_predictions], 0 at padding.
          training: whether dropout is on.
          seed: of the dropout, int32 [2]; defaults to a random one.

        Returns:
          By grain, logits float32 [predictions of the batch, vocab]; their targets are those of `masked_lm_targets`.
          With a next-sentence head also `next_sentence`, logits float32 [batch, 2] of the first grain's pooled output.
        """
        seed = dropout_seed(training, seed)
        sequences = self.backbone(inputs, training=training, seed=seed)
        outputs = {
            grain: self.masked_lm_heads[grain](
                sequences[f"{grain}_sequence_output"],
                inputs[f"{grain}_masked_lm_positions"],
                inputs[f"{grain}_masked_lm_weights"],
                grain=grain,
                static_shapes=self.static_shapes,
            )
            for grain in self.config.grains
        }
        if self.next_sentence_head is not None:
            logits = self.next_sentence_head(sequences[f"{self.config.grains[0]}_pooled_output"])
            outputs["next_sentence"] = keras.ops.cast(logits, "float32")
        return outputs

    @property
    def static_shapes(self) -> bool:
        """Whether padding tokens and padding predictions are computed too; the backbone's."""
        return self.backbone.static_shapes

    @property
    def input_spec(self) -> None:
        """No fixed inputs: `call` ignores others, such as labels."""
        return None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "next_sentence": self.next_sentence}
