"""`AmbertSpanExtractor`: a backbone with heads on every fine position, for question answering."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_span_extractor_preprocessor import AmbertSpanExtractorPreprocessor, check_answers
from ambert_tf.models.ambert_task import AmbertTask
from ambert_tf.models.classification_heads import SpanHeads, position_inputs
from ambert_tf.models.eq2 import Eq2Task
from ambert_tf.models.layers import dropout_seed
from ambert_tf.models.losses import span_loss
from ambert_tf.models.task_answers import best_answers, final_answers, window_candidates
from ambert_tf.models.task_inputs import MODEL_INPUTS


@keras.saving.register_keras_serializable(package="ambert_tf")
class AmbertSpanExtractor(Eq2Task, AmbertTask, keras_hub.models.Task):
    """An end-to-end AMBERT model that answers questions with a span of the context.

    Positions are fine positions for every `model_type` (§3.3 of the paper: "the representations of fine-grained tokens
    are concatenated with the representations of corresponding coarse-grained tokens"). The fine head reads the fine
    token's representation, the coarse head that of its coarse token, and the joint head both. `bert_coarse` has the
    coarse head only. AMBERT-Hybrid is fine-tuned like BERT and has the fine head only. The loss is eq. (2), averaged
    over start and end.

    Args:
      backbone: an `AmbertBackbone`.
      preprocessor: an `AmbertSpanExtractorPreprocessor` or `None`. If `None`, inputs must be preprocessed.
      agreement_weight: float. λ of eq. (2).
      agreement_of: string. Whether the agreement loss compares `"probabilities"` or `"logits"`.
      agreement_squared: bool. Whether to square the distance in the agreement loss.
      inference: string. The head used for prediction: `"joint"`, `"fine"` or `"coarse"`.
      max_answer_length: int. The maximum number of fine tokens in an answer.
      null_answers: bool. Whether a question may have no answer.
      n_best_size: int. Start and end positions that the search considers per window.
      null_score_diff_threshold: float. No answer is predicted if its score exceeds the best answer's by more than this.
      task_details: dictionary. Other fields of `task.json`: `task_name`, `label_descriptions`, `data_augmentation` and
        `choices`. An exported model's card shows them.

    A call returns a dictionary of logits by head, float32 [windows, fine_length, 2]. On raw questions and contexts,
    `predict` returns a dictionary with `answer`, `start`, `end` (byte offsets into the context) and `score`.

    Example:

    ```python
    extractor = ambert_tf.AmbertSpanExtractor.from_preset("./my_preset")
    questions, contexts = ["谁写了《红楼梦》？"], ["《红楼梦》的作者是曹雪芹。"]
    start = len("《红楼梦》的作者是".encode())
    extractor.fit((questions, contexts), ([start], [start + len("曹雪芹".encode())]))
    extractor.predict((questions, contexts))["answer"]
    ```
    """

    preprocessor_cls = AmbertSpanExtractorPreprocessor
    predicts_answers = True

    def __init__(
        self,
        backbone: AmbertBackbone,
        preprocessor: Any = None,
        max_answer_length: int = 30,
        null_answers: bool = False,
        n_best_size: int = 20,
        null_score_diff_threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.config = backbone.config
        self.heads = SpanHeads(backbone, name="span_heads")
        self.heads.build_parts()

        # === Functional Model ===
        inputs = position_inputs(backbone)
        outputs = self.call(inputs)

        # === Config ===
        self.activation = keras.activations.get(None)
        self.max_answer_length = max_answer_length
        self.null_answers = null_answers
        self.n_best_size = n_best_size
        self.null_score_diff_threshold = null_score_diff_threshold
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

    def call(
        self, inputs: Mapping[str, tf.Tensor], training: bool = False, seed: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Scores each fine position as the start and as the end of the answer.

        Args:
          inputs: the backbone's inputs, `fine_input_ids` and `fine_to_coarse`, int32 [windows, fine_length].
          training: whether to apply dropout.
          seed: dropout seed, int32 [2]. Defaults to a random one.

        Returns:
          Logits by head, float32 [windows, fine_length, 2], `MASKED_LOGIT` at padding. Outside training, only the
          heads that `inference` needs are computed.
        """
        grains = self.computed_grains(training)
        outputs = self.backbone(inputs, training=training, grains=grains, seed=dropout_seed(training, seed))
        # BERT applies no dropout between the encoder and this head.
        return self.heads(outputs, fine_input_ids=inputs["fine_input_ids"], fine_to_coarse=inputs["fine_to_coarse"])

    def eq2(self, logits: Mapping[str, tf.Tensor], y: Any, **arguments: Any) -> tf.Tensor:
        return span_loss(logits, y["start"], y["end"], **arguments)[0]

    def metric_inputs(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        logits = y_pred[self.inference]
        ends = {"start": logits[:, :, 0], "end": logits[:, :, 1]}
        return y, ends, None if sample_weight is None else dict.fromkeys(ends, sample_weight)

    def xla_obstacle(self) -> str | None:
        return "the number of windows differs from batch to batch. Leave `jit_compile` out."

    def default_metrics(self) -> Any:
        return {name: [keras.metrics.SparseCategoricalAccuracy(name="accuracy")] for name in ("end", "start")}

    def _arrays(self, x: Any, y: Any = None, sample_weight: Any = None) -> tuple[Any, ...]:
        check_answers(y)
        return super()._arrays(x, y, sample_weight)

    def predict(self, x: Any = None, batch_size: int | None = None, **kwargs: Any) -> Any:
        """Answers questions, as described in the class docstring. Without a preprocessor, it returns the logits."""
        if self.preprocessor is None:
            return super().predict(x, batch_size, **kwargs)
        dataset = self._prediction_dataset(x, batch_size, **kwargs)
        answers = [self._answer(self.preprocessor.raw_inputs(_features(batch))) for batch in dataset]
        if not answers:  # the columns of one example, without it
            example = self._answer({"question": tf.constant([""]), "context": tf.constant([""])})
            return {name: values[:0].numpy() for name, values in example.items()}
        return {name: np.concatenate([batch[name].numpy() for batch in answers]) for name in answers[0]}

    def _answer(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        task = dataclasses.replace(self.preprocessor.task, **self.decoding())
        windows = self.preprocessor.windows(**raw)
        logits = self(self.preprocessor.pad({name: windows[name] for name in MODEL_INPUTS}), training=False)
        coarse_only = self.inference == "coarse" or self.config.grains == ("coarse",)
        candidates = window_candidates(task, logits[self.inference], windows, coarse_only)
        answers = best_answers(candidates, windows["window_example"], raw["context"], task.n_best_size)
        return final_answers(task, answers)

    def decoding(self) -> dict[str, Any]:
        """Returns the `TaskConfig` fields that determine how answers are selected."""
        return {
            "max_answer_length": self.max_answer_length,
            "null_answers": self.null_answers,
            "n_best_size": self.n_best_size,
            "null_score_diff_threshold": self.null_score_diff_threshold,
        }

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.decoding()}


def _features(batch: Any) -> Any:
    return keras.utils.unpack_x_y_sample_weight(batch)[0]
