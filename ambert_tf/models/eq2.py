"""Eq. (2) as the loss of a Keras task, and the choice of the head that predicts."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from ambert_tf.models.inference import INFERENCES, inference_config


class Eq2Task:
    """The part of a task that knows the three heads; mixed in before `AmbertTask`.

    Attributes:
      agreement: `agreement_weight`, `agreement_of` and `agreement_squared`, see `losses.classification_loss`.
      inference: the head that predicts.
    """

    backbone: Any
    config: Any
    activation: Any
    inference: str

    @abstractmethod
    def eq2(self, logits: Mapping[str, tf.Tensor], y: Any, **arguments: Any) -> tf.Tensor:
        """Returns eq. (2) of a batch; the arguments are those of `losses.classification_loss`."""

    def set_agreement(self, weight: float, of: str, squared: bool) -> None:
        """Sets the last term of eq. (2)."""
        if of not in ("probabilities", "logits"):
            raise ValueError(f'`agreement_of` must be "probabilities" or "logits". Received: agreement_of={of!r}')
        self.agreement: dict[str, Any] = {"agreement_weight": weight, "agreement_of": of, "agreement_squared": squared}

    def set_inference(self, inference: str) -> None:
        """Chooses the head that predicts.

        Raises:
          ValueError: the model has no such head.
        """
        if inference not in INFERENCES:
            raise ValueError(f"`inference` must be one of {INFERENCES}. Received: inference={inference!r}")
        inference_config(self.config, inference)
        self.inference = inference

    def computed_grains(self, training: bool) -> tuple[str, ...] | None:
        """Returns the grains to compute; None for all."""
        single = self.inference != "joint" and not training and len(self.config.grains) > 1
        return (self.inference,) if single else None

    def training_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> tf.Tensor:
        # With one head, its loss counts; AMBERT-Single evaluates that way.
        logits = y_pred if len(y_pred) == 3 else {"joint": y_pred[self.inference]}
        total = None if sample_weight is None else tf.cast(tf.shape(sample_weight)[0], tf.float32)  # as in Keras
        weights = None if sample_weight is None else tf.reshape(tf.cast(sample_weight, tf.float32), [-1])
        return self.eq2(logits, y, weights=weights, total=total, **self.agreement)

    def metric_inputs(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        return y, y_pred[self.inference], sample_weight

    def prediction(self, x: Any, y_pred: Any) -> Any:
        return self.activation(y_pred[self.inference])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.agreement, "inference": self.inference}  # type: ignore[misc]
