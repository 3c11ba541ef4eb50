"""Eq. (2) as an objective of the training loop."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from ambert_tf.modeling.classification_model import ClassificationModel
from ambert_tf.modeling.flops import BACKWARD_FACTOR, encoder_flops
from ambert_tf.modeling.losses import classification_loss
from ambert_tf.training.loop import Batch


class ClassificationObjective:
    """Eq. (2) over a part of a batch, as `training.loop.Objective`.

    Args:
      model: what is trained.
      agreement_weight: λ.
      agreement_of: `probabilities` or `logits`; see `losses.agreement_loss`.
      agreement_squared: the square of the distance instead.
    """

    def __init__(
        self,
        model: ClassificationModel,
        agreement_weight: float = 1.0,
        agreement_of: str = "probabilities",
        agreement_squared: bool = False,
    ) -> None:
        self.model = model
        self.agreement: dict[str, Any] = {
            "agreement_weight": agreement_weight,
            "agreement_of": agreement_of,
            "agreement_squared": agreement_squared,
        }

    @property
    def trainable_variables(self) -> Sequence[keras.Variable]:
        return self.model.trainable_variables

    def totals(self, batch: Batch) -> dict[str, tf.Tensor]:
        return {"sequences": tf.cast(tf.size(batch["label"]), tf.float32)}

    def loss(
        self, batch: Batch, totals: Mapping[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        logits = self.model(batch, training=True, seed=seed)
        labels = batch["label"]
        loss, metrics = classification_loss(logits, labels, **self.agreement, total=totals["sequences"])
        right = tf.argmax(logits["joint"], axis=-1, output_type=labels.dtype) == labels
        metrics["accuracy"] = tf.reduce_sum(tf.cast(right, tf.float32)) / totals["sequences"]
        metrics.update(amounts(self.model, batch))
        return loss, metrics


def amounts(model: ClassificationModel, batch: Batch) -> dict[str, tf.Tensor]:
    """Returns the sequences, real tokens and floating-point operations of a training step, for the rates."""
    config = model.config
    lengths = [tf.reduce_sum(tf.cast(batch[f"{grain}_input_ids"] != 0, tf.float32), axis=1) for grain in config.grains]
    # AMBERT-Hybrid's one sequence is as long as both together.
    sequences = [tf.add_n(lengths)] if config.model_type == "ambert_hybrid" else lengths
    forward = tf.add_n(
        [encoder_flops(config, tf.reduce_sum(each), tf.reduce_sum(tf.square(each))) for each in sequences]
    )
    return {
        "sequences": tf.cast(tf.size(batch["label"]), tf.float32),
        "tokens": tf.add_n([tf.reduce_sum(each) for each in lengths]),
        "model_flops": (1 + BACKWARD_FACTOR) * forward,
    }
