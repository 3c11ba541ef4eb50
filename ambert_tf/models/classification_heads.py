"""The three heads of eq. (2), on sequences and on positions."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.grain_encoder import PAD_ID
from ambert_tf.models.layers import Dense, dropout

POOLED_SITE = 1_000_000  # dropout site of the heads, larger than those of any encoder
MASKED_LOGIT = -1e9  # logit of a class that cannot be chosen, such as a padding position or an empty choice


class ClassificationHeads(keras.layers.Layer):
    """The heads of eq. (2): one on the fine vector, one on the coarse vector, and one on their concatenation.

    A model with one grain has one head, and `joint` is an alias for its logits.

    Args:
      backbone: the encoder. Each of its `classification_grains` gets a head.
      num_classes: the number of logits per head, 1 for regression and multiple choice.
    """

    def __init__(self, backbone: AmbertBackbone, num_classes: int, **kwargs: Any) -> None:
        super().__init__(dtype=backbone.dtype_policy, **kwargs)
        self.config = config = backbone.config
        self.grains = grains = backbone.classification_grains
        self.num_classes = num_classes
        self.heads = {
            name: Dense(
                config.hidden_size * (len(grains) if name == "joint" else 1),
                num_classes,
                config.initializer_range,
                backbone.seed,
                name=name,
                dtype=self.dtype_policy,
            )
            for name in ((*grains, "joint") if len(grains) > 1 else grains)
        }

    def build(self, input_shape: object = None) -> None:
        for head in self.heads.values():
            head.build()

    def call(self, vectors: Mapping[str, tf.Tensor], seed: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Returns logits by head, float32 [rows, num_classes].

        Args:
          vectors: vectors by grain, [rows, hidden], such as pooled outputs. If a grain is omitted, the heads that need
            it are not computed.
          seed: dropout seed, int32 [2], or None for no dropout.
        """
        rate = self.config.hidden_dropout_prob
        dropped = {
            grain: dropout(vectors[grain], rate, seed, POOLED_SITE + index)
            for index, grain in enumerate(self.grains)
            if grain in vectors
        }
        logits = {grain: tf.cast(self.heads[grain](x), tf.float32) for grain, x in dropped.items()}
        if len(self.grains) == 1:
            logits["joint"] = logits[self.grains[0]]
        elif len(dropped) == len(self.grains):
            both = tf.concat([dropped[grain] for grain in self.grains], axis=-1)
            logits["joint"] = tf.cast(self.heads["joint"](both), tf.float32)
        return logits

    def compute_output_spec(self, vectors: Mapping[str, Any], **kwargs: Any) -> dict[str, keras.KerasTensor]:
        rows = vectors[self.grains[0]].shape[0]
        return {name: keras.KerasTensor((rows, self.num_classes), "float32") for name in (*self.grains, "joint")}


def position_inputs(backbone: AmbertBackbone) -> dict[str, keras.KerasTensor]:
    """Returns the symbolic inputs of a model with heads on every fine position: the backbone's, and the alignment."""
    inputs = dict(backbone.input)
    for name in ("fine_input_ids", "fine_to_coarse"):
        if name not in inputs:
            inputs[name] = keras.Input((None,), dtype="int32", name=name)
    return inputs


class SpanHeads(keras.layers.Layer):
    """The heads of eq. (2) on every fine position, which predict, for example, the first and the last token of a span.

    Args:
      backbone: the encoder.
      num_classes: logits per position and head.
    """

    def __init__(self, backbone: AmbertBackbone, num_classes: int = 2, **kwargs: Any) -> None:
        super().__init__(dtype=backbone.dtype_policy, **kwargs)
        self.num_classes = num_classes
        self.heads = ClassificationHeads(backbone, num_classes, name=self.name)
        self.grains = self.heads.grains

    def build_parts(self) -> None:
        """Builds the heads in the caller's name scope, which becomes the prefix of their variables' paths."""
        self.heads.build()
        self.built = True

    def call(
        self,
        outputs: Mapping[str, tf.Tensor],
        fine_input_ids: tf.Tensor,
        fine_to_coarse: tf.Tensor,
        seed: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Returns logits by head, float32 [batch, fine_length, num_classes], `MASKED_LOGIT` at padding.

        Args:
          outputs: the backbone's outputs.
          fine_input_ids: int32 [batch, fine_length].
          fine_to_coarse: int32 [batch, fine_length], the position of the coarse token that contains each fine token.
          seed: dropout seed, int32 [2], or None for no dropout.
        """
        sequences = {g: outputs[f"{g}_sequence_output"] for g in self.grains if f"{g}_sequence_output" in outputs}
        if "coarse" in sequences:
            sequences["coarse"] = tf.gather(sequences["coarse"], fine_to_coarse, batch_dims=1)
        size = self.heads.config.hidden_size
        logits = self.heads({grain: tf.reshape(x, [-1, size]) for grain, x in sequences.items()}, seed=seed)
        real = fine_input_ids != PAD_ID
        shape = tf.concat([tf.shape(real), [self.num_classes]], axis=0)
        return {
            name: tf.where(real[:, :, tf.newaxis], tf.reshape(values, shape), MASKED_LOGIT)
            for name, values in logits.items()
        }

    def compute_output_spec(self, outputs: Any, fine_input_ids: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        shape = (*fine_input_ids.shape, self.num_classes)
        return {name: keras.KerasTensor(shape, "float32") for name in (*self.grains, "joint")}
