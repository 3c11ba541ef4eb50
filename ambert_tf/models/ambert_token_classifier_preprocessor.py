"""`AmbertTokenClassifierPreprocessor`: texts to the inputs of `AmbertTokenClassifier`."""

from collections.abc import Sequence
from typing import Any

import keras
import keras_hub
import tensorflow as tf
from keras_hub.src.utils.tensor_utils import preprocessing_function

from ambert_tf.models.ambert_tokenizer import AmbertTokenizer
from ambert_tf.models.sequence_inputs import SequenceInputs
from ambert_tf.models.tagging_schemes import SCHEMES
from ambert_tf.models.task_config import SEQUENCE_LABELLING, TaskConfig
from ambert_tf.models.task_inputs import MODEL_INPUTS
from ambert_tf.models.token_labels import tag_targets


@keras.saving.register_keras_serializable(package="ambert_tf")
class AmbertTokenClassifierPreprocessor(SequenceInputs, keras_hub.models.Preprocessor):
    """Splits texts into windows, and converts labelled spans to tags.

    `x` is a text per example, string [batch]. `y` is int [batch, spans, 3]: of each span, in order, the first byte in
    the UTF-8 text, the byte after the last, and the index of its label, padded with `token_labels.NO_SPAN`. A long
    text gives several windows, so a batch has more rows than texts; `sample_weight` is repeated. The result is a
    dictionary with the inputs of `AmbertTokenClassifier`, and the tags of the tokens plus 1, int32 [rows, fine_length].

    Args:
      tokenizer: an `AmbertTokenizer`.
      labels: strings. Names of the labels.
      sequence_length: int. The maximum number of fine tokens of a window.
      coarse_sequence_length: int. The maximum number of coarse tokens; defaults to `sequence_length`.
      doc_stride: int. Fine tokens between the starts of two windows, at most half of the sequence length.
      scheme: string. How tags are written, `"BIO"`, `"BIOES"` or `"BMES"`.
      outside: bool. Whether a token may be outside of all spans; false for word segmentation.
      static_shapes: bool. Whether to pad to the maximum lengths. XLA cannot be used even then, because the number of
        windows varies.
    """

    def __init__(
        self,
        tokenizer: AmbertTokenizer,
        labels: Sequence[str],
        sequence_length: int = 128,
        coarse_sequence_length: int | None = None,
        doc_stride: int = 64,
        scheme: str = "BIO",
        outside: bool = True,
        static_shapes: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if scheme not in SCHEMES or scheme == "IOB1":
            raise ValueError(f'`scheme` must be "BIO", "BIOES" or "BMES". Received: scheme={scheme!r}')
        if not labels or len(set(labels)) < len(labels):
            raise ValueError(f"`labels` must be the names of the labels, all different. Received: labels={labels}")
        self.labels = tuple(labels)
        self.set_doc_stride(doc_stride)
        self.scheme = scheme
        self.outside = outside
        self.set_sequences(tokenizer, sequence_length, coarse_sequence_length, static_shapes=static_shapes)

    @property
    def task(self) -> TaskConfig:
        return TaskConfig(
            task_name="",
            form=SEQUENCE_LABELLING,
            labels=self.labels,
            tagging_scheme=self.scheme,
            outside=self.outside,
            doc_stride=self.doc_stride,
            **self.lengths(),
        )

    @preprocessing_function
    def call(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        windows = self.windows(**self.raw_inputs(x))
        inputs = self.pad({name: windows[name] for name in MODEL_INPUTS})
        if y is None:
            return inputs
        tags = tag_targets(self.task.tag_set, windows, tf.cast(y, tf.int32))
        if sample_weight is not None:
            sample_weight = tf.gather(sample_weight, windows["window_example"])
        tags = tags.to_tensor(shape=tf.stack([-1, tf.shape(inputs["fine_input_ids"])[1]]))
        return keras.utils.pack_x_y_sample_weight(inputs, tags, sample_weight)

    def get_config(self) -> dict[str, Any]:
        config = {
            "labels": self.labels,
            "doc_stride": self.doc_stride,
            "scheme": self.scheme,
            "outside": self.outside,
        }
        return {**super().get_config(), **config}
