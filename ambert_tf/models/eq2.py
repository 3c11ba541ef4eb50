"""Eq. (2) as the loss of a Keras task, and the choice of the head used for prediction."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from ambert_tf.models.grain_encoder import PAD_ID
from ambert_tf.models.inference import INFERENCES, inference_config
from ambert_tf.models.layers import dropout_seed


class Eq2Task:
    """Mixin for tasks with the three heads of eq. (2). List it before `AmbertTask` among the bases.

    Attributes:
      agreement: `agreement_weight`, `agreement_of` and `agreement_squared`; see `losses.classification_loss`.
      inference: the head used for prediction. It may be changed at any time.
      task_details: `TaskConfig` fields that have no argument of their own, such as the task name. An exported model's
        card shows them. Predictions do not depend on them.
    """

    backbone: Any
    config: Any
    activation: Any
    heads: Any
    _inference: str = "joint"

    def __init__(
        self,
        *args: Any,
        agreement_weight: float = 1.0,
        agreement_of: str = "probabilities",
        agreement_squared: bool = False,
        inference: str = "joint",
        task_details: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.task_details = dict(task_details or {})
        self.set_agreement(agreement_weight, agreement_of, agreement_squared)
        super().__init__(*args, **kwargs)
        self.set_inference(inference)

    @abstractmethod
    def eq2(self, logits: Mapping[str, tf.Tensor], y: Any, **arguments: Any) -> tf.Tensor:
        """Returns the loss of eq. (2) for a batch. The arguments are those of `losses.classification_loss`."""

    @property
    def inference(self) -> str:
        return self._inference

    @inference.setter
    def inference(self, inference: str) -> None:
        self.set_inference(inference)

    def _forget_graphs(self) -> None:
        # Keras keeps the graphs of these functions, which contain the settings they were traced with.
        self.train_function = self.test_function = self.predict_function = None

    def set_agreement(self, weight: float, of: str, squared: bool) -> None:
        """Sets the parameters of the agreement loss, the last term of eq. (2)."""
        if of not in ("probabilities", "logits"):
            raise ValueError(f'`agreement_of` must be "probabilities" or "logits". Received: agreement_of={of!r}')
        self.agreement: dict[str, Any] = {"agreement_weight": weight, "agreement_of": of, "agreement_squared": squared}
        if getattr(self, "train_function", None) is not None:
            self._forget_graphs()

    def set_inference(self, inference: str) -> None:
        """Sets the head used for prediction.

        Raises:
          ValueError: the model has no such head.
        """
        if inference not in INFERENCES:
            raise ValueError(f"`inference` must be one of {INFERENCES}. Received: inference={inference!r}")
        inference_config(self.config, inference)
        if inference != self._inference:
            self._inference = inference
            self._forget_graphs()

    def computed_grains(self, training: bool) -> tuple[str, ...] | None:
        """Returns the grains to compute, or None for all."""
        single = self.inference != "joint" and not training and len(self.config.grains) > 1
        return (self.inference,) if single else None

    def class_logits(
        self, inputs: Mapping[str, tf.Tensor], training: bool, seed: tf.Tensor | None
    ) -> dict[str, tf.Tensor]:
        """Returns the logits of `ClassificationHeads` by head; see `call` and `ModelConfig.classifier_pooling`."""
        seed = dropout_seed(training, seed)
        outputs = self.backbone(inputs, training=training, grains=self.computed_grains(training), seed=seed)
        pooled = {}
        for grain in self.backbone.classification_grains:
            if f"{grain}_pooled_output" not in outputs:
                continue
            if self.config.classifier_pooling == "mean":
                pooled[grain] = mean_over_tokens(outputs[f"{grain}_sequence_output"], inputs[f"{grain}_input_ids"])
            else:
                pooled[grain] = outputs[f"{grain}_pooled_output"]
        return self.heads(pooled, seed=seed)

    def training_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> tf.Tensor:
        # If only one head was computed, as in the evaluation of AMBERT-Single, the loss is that head's.
        logits = y_pred if len(y_pred) == 3 else {"joint": y_pred[self.inference]}
        total = None if sample_weight is None else tf.cast(tf.shape(sample_weight)[0], tf.float32)  # as in Keras
        weights = None if sample_weight is None else tf.reshape(tf.cast(sample_weight, tf.float32), [-1])
        return self.eq2(logits, y, weights=weights, total=total, **self.agreement)

    def metric_inputs(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        return y, self.prediction(x, y_pred), sample_weight

    def prediction(self, x: Any, y_pred: Any) -> Any:
        return self.activation(y_pred[self.inference])

    def get_config(self) -> dict[str, Any]:
        config = {"inference": self.inference, "task_details": self.task_details}
        return {**super().get_config(), **self.agreement, **config}  # type: ignore[misc]


def mean_over_tokens(sequence_output: Any, input_ids: Any) -> Any:
    """Returns the mean of a sequence output over the tokens that are not padding, where it is undefined.

    Args:
      sequence_output: [batch, length, hidden].
      input_ids: int32 [batch, length]. Id 0 is padding.

    Returns:
      [batch, hidden] of the same dtype; zeros for a row that consists of padding.
    """
    ops = keras.ops  # which also accept the symbolic tensors of a functional model
    real = ops.expand_dims(ops.not_equal(input_ids, PAD_ID), axis=-1)
    total = ops.sum(ops.where(real, ops.cast(sequence_output, "float32"), 0.0), axis=1)
    count = ops.sum(ops.cast(real, "float32"), axis=1)
    return ops.cast(total / ops.maximum(count, 1.0), sequence_output.dtype)
