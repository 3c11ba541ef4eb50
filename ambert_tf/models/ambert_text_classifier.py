"""`AmbertTextClassifier`: a backbone with the heads of eq. (2), for tasks with one prediction per sequence."""

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_task import AmbertTask
from ambert_tf.models.ambert_text_classifier_preprocessor import AmbertTextClassifierPreprocessor
from ambert_tf.models.classification_heads import ClassificationHeads
from ambert_tf.models.eq2 import Eq2Task
from ambert_tf.models.losses import classification_loss, regression_loss


@keras.saving.register_keras_serializable(package="ambert_tf")
class AmbertTextClassifier(Eq2Task, AmbertTask, keras_hub.models.TextClassifier):
    """An end-to-end AMBERT model for classification or regression of texts and pairs of texts.

    Three heads read the fine `[CLS]`, the coarse `[CLS]`, and both. They are trained with eq. (2) of the paper: the sum
    of their cross-entropy losses (squared errors for regression), plus `agreement_weight` times the distance between
    the predictions of the fine and the coarse head. Models with one grain have one head.

    Args:
      backbone: an `AmbertBackbone`.
      num_classes: int. The number of classes, or 1 for regression.
      preprocessor: an `AmbertTextClassifierPreprocessor` or `None`. If `None`, inputs must be preprocessed.
      activation: string or callable, applied to the output of `predict`, and to the predictions that metrics and a loss
        passed to `compile` get. `"softmax"` returns probabilities. For regression, eq. (2) compares activated scores
        too. Defaults to `None`, which returns logits.
      agreement_weight: float. λ of eq. (2).
      agreement_of: string. Whether the agreement loss compares `"probabilities"` or `"logits"`.
      agreement_squared: bool. Whether to square the distance in the agreement loss.
      inference: string. The head used for prediction: `"joint"`, `"fine"` or `"coarse"`. `"fine"` and `"coarse"`
        compute only that grain. `"fine"` is the paper's AMBERT-Single. It may be changed later.
      score_range: two floats, for regression. `predict` and metrics clip scores to this range.
      labels: strings. Class names in an exported model. Defaults to the class indices.
      task_details: dictionary. Other fields of `task.json`: `task_name`, `label_descriptions`, `data_augmentation` and
        `choices`. An exported model's card shows them.

    A call returns a dictionary of logits by head (`fine`, `coarse` and `joint`), float32 [batch, num_classes].
    `predict` returns those of the `inference` head.

    Examples:

    ```python
    texts = ["服务很好", "房间太小"]
    classifier = ambert_tf.AmbertTextClassifier.from_preset("./my_preset", num_classes=2)
    classifier.fit(texts, [1, 0], batch_size=2)
    classifier.predict(["早餐不错"])
    classifier.save_to_preset("./my_classifier")

    # Pairs of texts.
    classifier.fit((texts, texts[::-1]), [1, 0], batch_size=2)

    # Another optimizer.
    classifier.compile(optimizer=keras.optimizers.Adam(2e-5))
    ```
    """

    preprocessor_cls = AmbertTextClassifierPreprocessor

    def __init__(
        self,
        backbone: AmbertBackbone,
        num_classes: int,
        preprocessor: Any = None,
        activation: Any = None,
        labels: Sequence[str] | None = None,
        score_range: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        count = operator.index(num_classes) if hasattr(num_classes, "__index__") else 0  # it may be NumPy's
        if count < 1:
            raise ValueError(
                f"`num_classes` must be a positive integer, 1 for regression. Received: num_classes={num_classes!r}"
            )
        num_classes = count
        _check_class_names(labels, num_classes)
        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.config = backbone.config
        self.heads = ClassificationHeads(backbone, num_classes, name="classification_heads")
        self.heads.build()

        # === Functional Model ===
        inputs = dict(backbone.input)
        outputs = self.call(inputs)

        # === Config ===
        self.activation = keras.activations.get(activation)
        self.score_range = None if score_range is None else tuple(score_range)
        self.labels = None if labels is None else tuple(labels)
        self.num_classes = num_classes
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

    def call(
        self, inputs: Mapping[str, tf.Tensor], training: bool = False, seed: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Computes the logits.

        Args:
          inputs: the backbone's inputs.
          training: whether to apply dropout.
          seed: dropout seed, int32 [2]. Defaults to a random one.

        Returns:
          Logits by head, float32 [batch, num_classes]. Outside training, only the heads that `inference` needs are
          computed.
        """
        return self.class_logits(inputs, training, seed)

    def eq2(self, logits: Mapping[str, tf.Tensor], y: Any, **arguments: Any) -> tf.Tensor:
        if self.num_classes == 1:
            logits = {name: self.activation(values) for name, values in logits.items()}
            return regression_loss(logits, tf.reshape(tf.cast(y, tf.float32), [-1]), **arguments)[0]
        return classification_loss(logits, tf.reshape(tf.cast(y, tf.int32), [-1]), **arguments)[0]

    def prediction(self, x: Any, y_pred: Any) -> Any:
        predicted = super().prediction(x, y_pred)
        return predicted if self.score_range is None else keras.ops.clip(predicted, *self.score_range)

    def loss_inputs(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        # Not clipped to `score_range`, where the gradient would be zero.
        return y, super().prediction(x, y_pred), sample_weight

    def default_metrics(self) -> Any:
        if self.num_classes == 1:
            return [keras.metrics.MeanSquaredError()]
        return [keras.metrics.SparseCategoricalAccuracy()]

    def check_labels(self, x: Any, y: Any) -> None:
        labels = np.asarray(y)
        if self.num_classes == 1 or not labels.size:
            return
        if labels.size != labels.shape[0]:
            raise ValueError(f"Labels must be integers of shape (batch,), not one-hot. Received: shape {labels.shape}")
        if labels.dtype.kind not in "iub" or labels.min() < 0 or labels.max() >= self.num_classes:
            found = labels.dtype if labels.dtype.kind not in "iub" else f"{labels.min()} to {labels.max()}"
            raise ValueError(
                f"Labels must be integers in range [0, {self.num_classes - 1}], because the classifier has "
                f"`num_classes={self.num_classes}`. Create it with the number of classes of your data. Received: "
                f"{found}"
            )

    @classmethod
    def from_preset(cls, preset: str, load_weights: bool = True, **kwargs: Any) -> Any:
        """Loads a task from a preset; see `keras_hub.models.Task.from_preset`. `num_classes` creates a new head."""
        if "num_classes" in kwargs:
            _check_class_names(kwargs.setdefault("labels", None), kwargs["num_classes"])
            kwargs.setdefault("task_details", None)
        model = super().from_preset(preset, load_weights, **kwargs)
        _check_class_names(kwargs.get("labels"), model.num_classes)  # `from_config` drops names that do not fit
        return model

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "AmbertTextClassifier":
        # `keras_hub.models.TextClassifier.from_preset` puts its `num_classes` next to the saved labels.
        if config.get("labels") is not None and len(config["labels"]) != config["num_classes"]:
            config = {**config, "labels": None, "task_details": None}
        if config["num_classes"] > 1:
            config = {**config, "score_range": None}
        return super().from_config(config)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "labels": self.labels,
            "score_range": self.score_range,
            "activation": keras.activations.serialize(self.activation),
        }


def _check_class_names(labels: Sequence[str] | None, num_classes: int) -> None:
    if labels is not None and len(labels) != num_classes:
        raise ValueError(f"`labels` must name `num_classes={num_classes}` classes. Received: labels={labels}")
