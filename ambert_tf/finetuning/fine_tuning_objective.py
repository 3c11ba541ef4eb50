"""Eq. (2) as a training objective, for every task form."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from ambert_tf.models.ambert_token_classifier import AmbertTokenClassifier
from ambert_tf.models.flops import BACKWARD_FACTOR, model_flops
from ambert_tf.models.losses import classification_loss, regression_loss, span_loss, token_loss
from ambert_tf.models.task_config import REGRESSION, SEQUENCE_LABELLING, SPANS
from ambert_tf.models.task_models import TaskModel
from ambert_tf.training.step import Batch


def fine_tuning_loss(
    form: str,
    logits: Mapping[str, tf.Tensor],
    targets: Mapping[str, tf.Tensor],
    transitions: Mapping[str, tf.Tensor] | None = None,
    **arguments: Any,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns the loss of eq. (2) and its parts; see `losses` for the terms of each form.

    Args:
      form: the form of the task.
      logits: logits by head.
      targets: `label`; for spans, `start` and `end`; for sequence labelling, `fine_tags`.
      transitions: for sequence labelling with a CRF; see `token_loss`.
      **arguments: passed on to `classification_loss`.
    """
    if form == SPANS:
        return span_loss(logits, targets["start"], targets["end"], **arguments)
    if form == SEQUENCE_LABELLING:
        return token_loss(logits, targets["fine_tags"], transitions, **arguments)
    loss = regression_loss if form == REGRESSION else classification_loss
    return loss(logits, targets["label"], **arguments)


class FineTuningObjective:
    """Eq. (2) over part of a batch. It implements `training.loop.Objective`.

    Args:
      model: the model to train.
      form: the form of the task.
      agreement_weight: λ.
      agreement_of: `probabilities` or `logits`; see `losses.agreement_loss`.
      agreement_squared: whether to square the distance.
    """

    def __init__(
        self,
        model: TaskModel,
        form: str,
        agreement_weight: float = 1.0,
        agreement_of: str = "probabilities",
        agreement_squared: bool = False,
    ) -> None:
        self.model = model
        self.form = form
        self.agreement: dict[str, Any] = {
            "agreement_weight": agreement_weight,
            "agreement_of": agreement_of,
            "agreement_squared": agreement_squared,
        }

    def totals(self, batch: Batch) -> dict[str, tf.Tensor]:
        # What a loss is the mean over: sequences, or the tokens that have a tag.
        if self.form == SEQUENCE_LABELLING:
            return {"examples": tf.reduce_sum(tf.cast(batch["fine_tags"] > 0, tf.float32))}
        return {"examples": _examples(batch)}

    def loss(
        self, batch: Batch, totals: Mapping[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        logits = self.model(batch, training=True, seed=seed)
        total, transitions = totals["examples"], None
        if isinstance(self.model, AmbertTokenClassifier) and self.model.crf:
            transitions = self.model.transitions()
        loss, metrics = fine_tuning_loss(self.form, logits, batch, transitions, **self.agreement, total=total)
        if self.form not in (REGRESSION, SPANS):
            # Tags are counted from 1, and 0 is no tag.
            label = batch["fine_tags"] - 1 if self.form == SEQUENCE_LABELLING else batch["label"]
            right = tf.argmax(logits["joint"], axis=-1, output_type=tf.int32) == label
            metrics["accuracy"] = tf.math.divide_no_nan(tf.reduce_sum(tf.cast(right, tf.float32)), total)
        metrics.update(amounts(self.model, batch))
        return loss, metrics


def _examples(batch: Batch) -> tf.Tensor:
    return tf.cast(tf.shape(next(iter(batch.values())))[0], tf.float32)


def amounts(model: TaskModel, batch: Batch) -> dict[str, tf.Tensor]:
    """Returns the number of examples, real tokens and FLOPs of a training step, for throughput and MFU."""
    config = model.config
    lengths = {
        grain: tf.reduce_sum(tf.cast(batch[f"{grain}_input_ids"] != 0, tf.float32), axis=-1) for grain in config.grains
    }
    return {
        "sequences": _examples(batch),
        "tokens": tf.add_n([tf.reduce_sum(each) for each in lengths.values()]),
        "model_flops": (1 + BACKWARD_FACTOR) * model_flops(config, lengths),
    }
