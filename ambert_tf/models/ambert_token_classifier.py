"""`AmbertTokenClassifier`: a backbone with heads on every fine token, for sequence labelling."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_hub
import numpy as np
import tensorflow as tf
from keras_hub.src.utils.preset_utils import check_file_exists, get_preset_loader, load_json

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_task import AmbertTask
from ambert_tf.models.ambert_token_classifier_preprocessor import AmbertTokenClassifierPreprocessor
from ambert_tf.models.classification_heads import position_inputs
from ambert_tf.models.eq2 import Eq2Task
from ambert_tf.models.layers import dropout_seed
from ambert_tf.models.losses import token_loss
from ambert_tf.models.preset_files import check_preset
from ambert_tf.models.tagging_schemes import TagSet
from ambert_tf.models.task_inputs import MODEL_INPUTS
from ambert_tf.models.token_heads import TokenHeads
from ambert_tf.models.token_labels import NO_SPAN, find_entities
from ambert_tf.presets import TASK_FILE

TASK_NAME = "ambert_tf>AmbertTokenClassifier"


@keras.saving.register_keras_serializable(package="ambert_tf")
class AmbertTokenClassifier(Eq2Task, AmbertTask, keras_hub.models.Task):
    """An end-to-end AMBERT model for sequence labelling: named entities, word segmentation, part-of-speech tagging.

    Each fine token has a tag, such as `B-PER`. As in question answering (§3.3 of the paper), each fine position is
    paired with its coarse token: the fine head reads the fine token's representation, the coarse head that of its
    coarse token, the joint head both. A BERT on the coarse grain has the coarse head only; AMBERT-Hybrid, fine-tuned as
    BERT is, the fine one. The loss is eq. (2), see `losses.token_loss`. Decoding never yields an ill-formed sequence,
    such as I after O.

    Args:
      backbone: an `AmbertBackbone`.
      labels: strings. Names of the labels.
      preprocessor: an `AmbertTokenClassifierPreprocessor` or `None`. If `None`, inputs must be preprocessed.
      scheme: string. How tags are written, `"BIO"`, `"BIOES"` or `"BMES"`.
      outside: bool. Whether a token may be outside of all spans; false for word segmentation.
      crf: bool. Whether each head is a linear-chain conditional random field.
      agreement_weight: float. λ of eq. (2).
      agreement_of: string. Whether the agreement loss compares `"probabilities"` or `"logits"`.
      agreement_squared: bool. Whether to square the distance in the agreement loss.
      inference: string. The head used for prediction: `"joint"`, `"fine"` or `"coarse"`.
      task_details: dictionary; see `AmbertSpanExtractor`.

    A call returns a dictionary of logits, float32 [windows, fine_length, tags], by head. `predict` on raw texts returns
    for each text a list of dictionaries with `label`, `text`, `start`, `end` (bytes of the text) and `score`. `fit`
    takes for each text a list of spans `(start, end, label)`, likewise in bytes.

    Example:

    ```python
    texts, spans = ["南京市长江大桥"], [[(0, 9, "LOC"), (9, 21, "LOC")]]
    tagger = ambert_tf.AmbertTokenClassifier.from_preset("./my_preset", labels=["LOC"])
    tagger.fit(texts, spans)
    tagger.predict(texts)
    ```
    """

    preprocessor_cls = AmbertTokenClassifierPreprocessor
    predicts_answers = True

    def __init__(
        self,
        backbone: AmbertBackbone,
        labels: Sequence[str],
        preprocessor: Any = None,
        scheme: str = "BIO",
        outside: bool = True,
        crf: bool = False,
        **kwargs: Any,
    ) -> None:
        self.tag_set = TagSet(tuple(labels), scheme, outside)
        if preprocessor is not None and preprocessor.task.tag_set != self.tag_set:
            raise ValueError(
                "`preprocessor` must have the same `labels`, `scheme` and `outside` as the model. Received: "
                f"{preprocessor.task.tag_set} and {self.tag_set}"
            )
        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.config = backbone.config
        self.heads = TokenHeads(backbone, self.tag_set, crf, name="token_heads")
        self.heads.build_parts()

        # === Functional Model ===
        inputs = position_inputs(backbone)
        outputs = self.call(inputs)

        # === Config ===
        self.crf = crf
        self.activation = keras.activations.get(None)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

    def call(
        self, inputs: Mapping[str, tf.Tensor], training: bool = False, seed: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Scores the tags of each fine position.

        Args:
          inputs: the backbone's, and `fine_input_ids` and `fine_to_coarse`, int32 [windows, fine_length].
          training: whether to apply dropout.
          seed: dropout seed, int32 [2]. Defaults to a random one.

        Returns:
          Logits, float32 [windows, fine_length, tags], by head, `MASKED_LOGIT` at padding. Outside training, only the
          heads that `inference` needs are computed.
        """
        seed = dropout_seed(training, seed)
        grains = self.computed_grains(training)
        outputs = self.backbone(inputs, training=training, grains=grains, seed=seed)
        return self.heads(
            outputs, fine_input_ids=inputs["fine_input_ids"], fine_to_coarse=inputs["fine_to_coarse"], seed=seed
        )

    def transitions(self) -> dict[str, tf.Tensor]:
        """Returns the transition matrix of each head, see `linear_chain`."""
        return self.heads.transitions()

    def eq2(self, logits: Mapping[str, tf.Tensor], y: Any, **arguments: Any) -> tf.Tensor:
        if arguments.get("total") is not None:  # with `sample_weight`; Keras does not count weights
            arguments["total"] = tf.reduce_sum(tf.cast(y > 0, tf.float32))
        transitions = self.transitions() if self.crf else None
        if transitions is not None and len(logits) == 1:  # the loss of one head
            transitions = {"joint": transitions[self.inference]}
        return token_loss(logits, y, transitions, **arguments)[0]

    def metric_inputs(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        there = tf.cast(y > 0, tf.float32)
        if sample_weight is not None:
            there *= tf.reshape(tf.cast(sample_weight, tf.float32), [-1, 1])
        return tf.maximum(y - 1, 0), y_pred[self.inference], there

    def xla_obstacle(self) -> str | None:
        return "the number of windows differs from batch to batch. Leave `jit_compile` out."

    def default_metrics(self) -> Any:
        return None

    def compile(self, optimizer: Any = "auto", loss: Any = "auto", **kwargs: Any) -> None:
        """Configures the task for training; see `AmbertTextClassifier.compile`. Metrics are of tags and weighted."""
        given = kwargs.get("weighted_metrics", "auto")
        if isinstance(given, str) and given == "auto":
            kwargs["weighted_metrics"] = [keras.metrics.SparseCategoricalAccuracy(name="tag_accuracy")]
        super().compile(optimizer, loss, **kwargs)

    def check_class_weight(self, class_weight: Any) -> None:
        if class_weight is not None:
            raise ValueError(
                "A token classifier has no `class_weight`: a text has many labels. Pass a `sample_weight` per text. "
                f"Received: class_weight={class_weight}"
            )

    def _arrays(self, x: Any, y: Any = None, sample_weight: Any = None) -> tuple[Any, ...]:
        if isinstance(y, (list, tuple)):
            y = self.span_array(y)
        return super()._arrays(x, y, sample_weight)

    def span_array(self, spans: Sequence[Sequence[tuple[int, int, str]]]) -> np.ndarray:
        """Returns labelled spans as `AmbertTokenClassifierPreprocessor` takes them.

        Args:
          spans: of each text tuples of the first byte, the byte after the last, and the label.

        Raises:
          ValueError: a label is unknown, a span is empty, or spans of a text overlap.
        """
        index = {label: number for number, label in enumerate(self.tag_set.labels)}
        array = np.full((len(spans), max(1, *(len(row) for row in spans), 1), 3), NO_SPAN, np.int32)
        for row, of_text in enumerate(spans):
            ordered = sorted(of_text)
            for first, second in itertools.pairwise(ordered):
                if second[0] < first[1]:
                    raise ValueError(f"The spans of a text must not overlap. Received: {first} and {second}")
            for column, (start, end, label) in enumerate(ordered):
                if label not in index:
                    raise ValueError(f"Labels must be among {self.tag_set.labels}. Received: {label!r}")
                if not 0 <= start < end:
                    raise ValueError(
                        "A span must be (first byte, byte after the last, label), and not empty. "
                        f"Received: {(start, end, label)}"
                    )
                array[row, column] = start, end, index[label]
        return array

    def predict(self, x: Any = None, batch_size: int | None = None, **kwargs: Any) -> Any:
        """Labels texts; see the class. Without a preprocessor it returns logits, as `keras.Model.predict` does."""
        if self.preprocessor is None:
            return super().predict(x, batch_size, **kwargs)
        dataset = self._prediction_dataset(x, batch_size, **kwargs)
        found: list[list[dict[str, Any]]] = []
        for batch in dataset:
            features = keras.utils.unpack_x_y_sample_weight(batch)[0]
            found += self._entities(self.preprocessor.raw_inputs(features)["text"])
        return found

    def _entities(self, texts: tf.Tensor) -> list[list[dict[str, Any]]]:
        windows = self.preprocessor.windows(text=texts)
        logits = self(self.preprocessor.pad({name: windows[name] for name in MODEL_INPUTS}), training=False)
        transitions = self.transitions()[self.inference]
        columns = find_entities(self.tag_set, logits[self.inference], windows, tf.size(texts), transitions)
        found = []
        for text, *values in zip(texts.numpy(), *(column.to_list() for column in columns), strict=True):
            found.append(
                [
                    {
                        "label": self.tag_set.labels[label],
                        "text": text[start:end].decode("utf-8", "replace"),
                        "start": start,
                        "end": end,
                        "score": score,
                    }
                    for label, start, end, score in zip(*values, strict=True)
                ]
            )
        return found

    @classmethod
    def from_preset(cls, preset: str, load_weights: bool = True, **kwargs: Any) -> Any:
        """Loads a task from a preset; see `keras_hub.models.Task.from_preset`.

        If the preset has a head for other `labels`, or another `scheme`, `outside` or `crf`, the task gets a new head.
        """
        check_preset(preset)
        tags = {name: kwargs[name] for name in ("labels", "scheme", "outside") if name in kwargs}
        if tags and "preprocessor" not in kwargs:
            kwargs["preprocessor"] = cls.preprocessor_cls.from_preset(preset, **tags)
        if not _changes_head(_saved_config(preset), kwargs):
            return super().from_preset(preset, load_weights, **kwargs)
        kwargs.setdefault("task_details", None)
        return get_preset_loader(preset).load_task(cls, load_weights, load_task_weights=False, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = {
            "labels": self.tag_set.labels,
            "scheme": self.tag_set.scheme,
            "outside": self.tag_set.outside,
            "crf": self.crf,
        }
        return {**super().get_config(), **config}


def _saved_config(preset: str) -> dict[str, Any]:
    """Returns the configuration of a preset's token classifier, or an empty one if it has none."""
    if not check_file_exists(preset, TASK_FILE):
        return {}
    task = load_json(preset, TASK_FILE)
    return task["config"] if task.get("registered_name") == TASK_NAME else {}


def _changes_head(saved: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
    changes = {name: arguments[name] for name in ("labels", "scheme", "outside", "crf") if name in arguments}
    if "labels" in changes:
        changes["labels"] = list(changes["labels"])
    return bool(saved) and any(value != saved[name] for name, value in changes.items())
