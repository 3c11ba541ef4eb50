"""`AmbertMultipleChoice`: a backbone with the heads of eq. (2), where the classes are the choices of an example."""

from collections.abc import Mapping
from typing import Any

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_multiple_choice_preprocessor import AmbertMultipleChoicePreprocessor
from ambert_tf.models.ambert_task import AmbertTask
from ambert_tf.models.classification_heads import MASKED_LOGIT, ClassificationHeads
from ambert_tf.models.eq2 import Eq2Task
from ambert_tf.models.grain_encoder import PAD_ID
from ambert_tf.models.losses import classification_loss


@keras.saving.register_keras_serializable(package="ambert_tf")
class AmbertMultipleChoice(Eq2Task, AmbertTask, keras_hub.models.Task):
    """An end-to-end AMBERT model that chooses one of several answers.

    Each head outputs one logit per choice. The loss is eq. (2), with the choices as classes.

    Args:
      backbone: an `AmbertBackbone`.
      preprocessor: an `AmbertMultipleChoicePreprocessor` or `None`. If `None`, inputs must be preprocessed.
      activation: string or callable, applied to the output of `predict`, and to the predictions that metrics and a loss
        passed to `compile` get. `"softmax"` returns probabilities.
      agreement_weight: float. λ of eq. (2).
      agreement_of: string. Whether the agreement loss compares `"probabilities"` or `"logits"`.
      agreement_squared: bool. Whether to square the distance in the agreement loss.
      inference: string. The head used for prediction: `"joint"`, `"fine"` or `"coarse"`.
      task_details: dictionary. Other fields of `task.json`: `task_name`, `label_descriptions`, `data_augmentation` and
        `choices`. An exported model's card shows them.

    A call returns a dictionary of logits by head, float32 [batch, choices]. `predict` returns those of the `inference`
    head.

    Example:

    ```python
    model = ambert_tf.AmbertMultipleChoice.from_preset("./my_preset")
    x = {"context": ["今天下雨了。"], "question": ["天气怎么样？"], "choices": [["晴天", "雨天"]]}
    model.fit(x, [1])
    model.predict(x)
    ```
    """

    preprocessor_cls = AmbertMultipleChoicePreprocessor

    def __init__(
        self,
        backbone: AmbertBackbone,
        preprocessor: Any = None,
        activation: Any = None,
        **kwargs: Any,
    ) -> None:
        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.config = backbone.config
        self.flatten_choices = FlattenChoices(name="flatten_choices", dtype="float32")
        # In float32, because Keras would cast the logits to the compute dtype of the global policy.
        self.restore_choices = RestoreChoices(name="restore_choices", dtype="float32")
        self.heads = ClassificationHeads(backbone, num_classes=1, name="classification_heads")
        self.heads.build()

        # === Functional Model ===
        inputs = {name: keras.Input((None, None), dtype="int32", name=name) for name in backbone.input}
        outputs = self.call(inputs)

        # === Config ===
        self.activation = keras.activations.get(activation)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

    def call(
        self, inputs: Mapping[str, tf.Tensor], training: bool = False, seed: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Scores the choices.

        Args:
          inputs: for each grain g, `g_input_ids` and `g_segment_ids`, int32 [batch, choices, g_length]. If an example
            has fewer choices, the missing ones consist of padding.
          training: whether to apply dropout.
          seed: dropout seed, int32 [2]. Defaults to a random one.

        Returns:
          Logits by head, float32 [batch, choices], `MASKED_LOGIT` for a missing choice. Outside training, only the
          heads that `inference` needs are computed.
        """
        read = {name: inputs[name] for name in self.backbone.input}
        logits = self.class_logits(self.flatten_choices(read), training, seed)
        ids = inputs[f"{self.config.grains[0]}_input_ids"]
        return self.restore_choices(logits, input_ids=ids)

    def eq2(self, logits: Mapping[str, tf.Tensor], y: Any, **arguments: Any) -> tf.Tensor:
        return classification_loss(logits, tf.reshape(tf.cast(y, tf.int32), [-1]), **arguments)[0]

    def check_labels(self, x: Any, y: Any) -> None:
        labels = np.asarray(y)
        if not labels.size:
            return
        exists = self._existing_choices(x).numpy()
        labels = labels.reshape(len(exists), -1)
        if labels.shape[1] != 1 or labels.dtype.kind not in "iu":
            raise ValueError(
                "Labels must be integers of shape (batch,), the indices of choices. Received: "
                f"{labels.dtype} of shape {np.shape(y)}"
            )
        numbers = np.arange(exists.shape[1])
        for example, label in enumerate(labels[:, 0]):
            if not exists[example][numbers == label].any():
                raise ValueError(
                    "Labels must be indices of choices that exist. Received: the label "
                    f"{label} for example {example}, which has the choices {numbers[exists[example]].tolist()}"
                )

    def _existing_choices(self, x: Any) -> tf.Tensor:
        """Returns which choices are not missing, bool [batch, choices]."""
        if self.preprocessor is None:
            return tf.not_equal(x[f"{self.config.grains[0]}_input_ids"][:, :, 0], PAD_ID)
        return tf.not_equal(self.preprocessor.raw_inputs(x)["choices"], "")

    def default_metrics(self) -> Any:
        return [keras.metrics.SparseCategoricalAccuracy()]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": keras.activations.serialize(self.activation)}


class FlattenChoices(keras.layers.Layer):
    """Reshapes choices [batch, choices, length] to sequences [batch * choices, length]."""

    def call(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {name: tf.reshape(value, [-1, tf.shape(value)[2]]) for name, value in inputs.items()}

    def compute_output_spec(self, inputs: Mapping[str, keras.KerasTensor]) -> dict[str, keras.KerasTensor]:
        return {name: keras.KerasTensor((None, value.shape[2]), value.dtype) for name, value in inputs.items()}


class RestoreChoices(keras.layers.Layer):
    """Reshapes logits [batch * choices, 1] to [batch, choices], with `MASKED_LOGIT` for choices that are padding."""

    def call(self, logits: Mapping[str, tf.Tensor], input_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        exists = tf.reduce_any(input_ids != PAD_ID, axis=2)  # an empty batch has no first token
        return {
            name: tf.where(exists, tf.reshape(values, tf.shape(exists)), MASKED_LOGIT)
            for name, values in logits.items()
        }

    def compute_output_spec(self, logits: Mapping[str, Any], input_ids: keras.KerasTensor) -> dict[str, Any]:
        return {name: keras.KerasTensor(input_ids.shape[:2], "float32") for name in logits}
