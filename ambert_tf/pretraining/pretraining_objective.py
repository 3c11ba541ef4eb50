"""Eq. (1) as a training objective, and its evaluation on held-out records."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from ambert_tf.models.ambert_masked_lm import AmbertMaskedLM
from ambert_tf.models.flops import pretraining_flops
from ambert_tf.models.losses import masked_lm_accuracy, masked_lm_loss, pretraining_loss
from ambert_tf.models.masked_lm_head import masked_lm_targets
from ambert_tf.training.step import Batch


class PretrainingObjective:
    """Eq. (1) on part of a batch. It implements `training.step.Objective`.

    Args:
      model: the model to train.
    """

    def __init__(self, model: AmbertMaskedLM) -> None:
        self.model = model
        self.grains = model.config.grains

    def totals(self, batch: Batch) -> dict[str, tf.Tensor]:
        totals = {grain: tf.reduce_sum(batch[f"{grain}_masked_lm_weights"]) for grain in self.grains}
        totals["sequences"] = tf.cast(tf.shape(batch[f"{self.grains[0]}_input_ids"])[0], tf.float32)
        return totals

    def loss(
        self, batch: Batch, totals: Mapping[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        outputs = self.model(batch, training=True, seed=seed)
        metrics: dict[str, tf.Tensor] = {}
        for grain in self.grains:
            ids, weights = self._targets(batch, grain)
            metrics[f"{grain}_masked_lm_loss"] = masked_lm_loss(outputs[grain], ids, weights, totals[grain])
        if "next_sentence" in outputs:
            labels = batch["next_sentence_label"]
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=outputs["next_sentence"])
            metrics["next_sentence_loss"] = tf.reduce_sum(losses) / totals["sequences"]
        loss = pretraining_loss(metrics)
        for grain in self.grains:
            ids, weights = self._targets(batch, grain)
            metrics[f"{grain}_masked_lm_accuracy"] = masked_lm_accuracy(outputs[grain], ids, weights, totals[grain])
        real = {g: tf.cast(batch[f"{g}_input_ids"] != 0, tf.float32) for g in self.grains}
        lengths = {grain: tf.reduce_sum(values, axis=1) for grain, values in real.items()}
        predictions = {grain: tf.reduce_sum(batch[f"{grain}_masked_lm_weights"]) for grain in self.grains}
        metrics["sequences"] = tf.cast(tf.shape(batch[f"{self.grains[0]}_input_ids"])[0], tf.float32)
        metrics["tokens"] = tf.add_n([tf.reduce_sum(values) for values in lengths.values()])
        metrics["model_flops"] = pretraining_flops(self.model.config, lengths, predictions)
        return loss, metrics

    def _targets(self, batch: Batch, grain: str) -> tuple[tf.Tensor, tf.Tensor]:
        return masked_lm_targets(batch, grain, self.model.static_shapes)

    def evaluation_sums(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Returns the sums over one batch, for `evaluation_results`."""
        outputs = self.model(batch, training=False)
        one = tf.constant(1.0)
        sums: dict[str, tf.Tensor] = {}
        for grain in self.grains:
            ids, weights = self._targets(batch, grain)
            sums[f"{grain}_loss"] = masked_lm_loss(outputs[grain], ids, weights, one)
            sums[f"{grain}_right"] = masked_lm_accuracy(outputs[grain], ids, weights, one)
            size = self.model.config.grain_vocab_size(grain)
            real = tf.boolean_mask(ids, weights > 0)
            sums[f"{grain}_counts"] = tf.math.bincount(real, minlength=size, maxlength=size)
        if "next_sentence" in outputs:
            labels = batch["next_sentence_label"]
            right = tf.argmax(outputs["next_sentence"], axis=-1, output_type=labels.dtype) == labels
            sums["next_sentence_right"] = tf.reduce_sum(tf.cast(right, tf.float32))
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=outputs["next_sentence"])
            sums["next_sentence_loss"] = tf.reduce_sum(losses)
        sums["sequences"] = tf.shape(batch[f"{self.grains[0]}_input_ids"])[0]
        return sums


class HeldOutEvaluation:
    """Accumulates `evaluation_sums` over the batches of held-out records.

    It runs on a single device, whatever the training strategy, because the last batch may have fewer rows than there
    are replicas. The variables are the same on all devices.

    Args:
      objective: the objective whose model is evaluated.
      make_dataset: returns the batches.
    """

    def __init__(self, objective: PretrainingObjective, make_dataset: Callable[[], tf.data.Dataset]) -> None:
        self._make_dataset = make_dataset
        self._step = tf.function(objective.evaluation_sums, autograph=False, reduce_retracing=True)

    def __call__(self, max_steps: int | None = None) -> dict[str, np.ndarray]:
        """Returns the sums over all batches, or over the first `max_steps`, float64 or int64, by name."""
        sums: dict[str, np.ndarray] = {}
        for batch in self._make_dataset().take(-1 if max_steps is None else max_steps):
            for name, value in self._step(batch).items():
                array = value.numpy()
                sums[name] = sums.get(name, 0) + array.astype(np.int64 if array.dtype.kind == "i" else np.float64)
        return sums


def evaluation_results(sums: Mapping[str, np.ndarray], grains: Sequence[str]) -> dict[str, float]:
    """Returns the held-out loss with its parts, the accuracies, and the majority baselines.

    `g_most_frequent_accuracy` is the majority baseline: the accuracy of always predicting the most frequent masked
    token of the same held-out data.
    """
    results: dict[str, float] = {}
    for grain in grains:
        count = max(int(sums[f"{grain}_counts"].sum()), 1)
        results[f"{grain}_masked_lm_loss"] = float(sums[f"{grain}_loss"]) / count
        results[f"{grain}_masked_lm_accuracy"] = float(sums[f"{grain}_right"]) / count
        results[f"{grain}_most_frequent_accuracy"] = int(sums[f"{grain}_counts"].max()) / count
        results[f"{grain}_predictions"] = int(sums[f"{grain}_counts"].sum())
    if "next_sentence_right" in sums:
        results["next_sentence_loss"] = float(sums["next_sentence_loss"]) / int(sums["sequences"])
        results["next_sentence_accuracy"] = float(sums["next_sentence_right"]) / int(sums["sequences"])
    results["loss"] = sum(value for name, value in results.items() if name.endswith("_loss"))
    results["sequences"] = int(sums["sequences"])
    return results
