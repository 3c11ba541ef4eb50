"""`AmbertSpanExtractorPreprocessor`: from questions and contexts to inputs of `AmbertSpanExtractor`."""

from collections.abc import Mapping
from typing import Any

import keras
import keras_hub
import tensorflow as tf
from keras_hub.src.utils.tensor_utils import preprocessing_function

from ambert_tf.models.ambert_tokenizer import AmbertTokenizer
from ambert_tf.models.sequence_inputs import SequenceInputs
from ambert_tf.models.task_answers import span_targets
from ambert_tf.models.task_config import SPANS, TaskConfig
from ambert_tf.models.task_inputs import MODEL_INPUTS


@keras.saving.register_keras_serializable(package="ambert_tf")
class AmbertSpanExtractorPreprocessor(SequenceInputs, keras_hub.models.Preprocessor):
    """Splits the contexts of questions into windows: `[CLS] question [SEP] part of the context [SEP]`.

    `x` is a tuple `(question, context)` or a dictionary with these keys, strings [batch]. `y` is a tuple `(start, end)`
    or a dictionary with these keys, int [batch], or an array of pairs, int [batch, 2]: the byte offsets of the answer
    in the UTF-8 context (`end` is exclusive), or -1 for no answer. A long context is split into several windows, so the
    output may have more rows than examples, and `sample_weight` is repeated accordingly. The result is a dictionary
    with the inputs of `AmbertSpanExtractor`, and the token positions of the answers. Other values of `y` raise a
    ValueError.

    Args:
      tokenizer: an `AmbertTokenizer`.
      sequence_length: int. The maximum number of fine tokens in a window.
      coarse_sequence_length: int. The maximum number of coarse tokens in a window. Defaults to `sequence_length`.
      doc_stride: int. Fine tokens between the starts of consecutive windows.
      max_query_length: int. The maximum number of fine tokens in a question.
      static_shapes: bool. Whether to pad to the maximum lengths. XLA cannot be used even then, because the number of
        windows varies.
    """

    def __init__(
        self,
        tokenizer: AmbertTokenizer,
        sequence_length: int = 384,
        coarse_sequence_length: int | None = None,
        doc_stride: int = 128,
        max_query_length: int = 64,
        static_shapes: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.set_doc_stride(doc_stride)
        self.max_query_length = max_query_length
        self.set_sequences(tokenizer, sequence_length, coarse_sequence_length, static_shapes=static_shapes)

    @property
    def task(self) -> TaskConfig:
        return TaskConfig(
            task_name="",
            form=SPANS,
            pair=True,
            doc_stride=self.doc_stride,
            max_query_length=self.max_query_length,
            **self.lengths(),
        )

    def call(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        check_answers(y)  # before KerasHub makes lists tensors
        return self._rows(x, y, sample_weight)

    @preprocessing_function
    def _rows(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        windows = self.windows(**self.raw_inputs(x))
        inputs = self.pad({name: windows[name] for name in MODEL_INPUTS})
        if y is None:
            return inputs
        if isinstance(y, Mapping):
            y = (y["start"], y["end"])
        start, end = (tf.cast(part, tf.int32) for part in (y if isinstance(y, tuple) else tf.unstack(y, axis=-1)))
        if sample_weight is not None:
            sample_weight = tf.gather(sample_weight, windows["window_example"])
        return keras.utils.pack_x_y_sample_weight(inputs, span_targets(windows, start, end), sample_weight)

    def get_config(self) -> dict[str, Any]:
        config = {"doc_stride": self.doc_stride, "max_query_length": self.max_query_length}
        return {**super().get_config(), **config}


def check_answers(y: Any) -> None:
    """Raises a ValueError if `y` is none of the forms that `AmbertSpanExtractorPreprocessor` takes."""
    if isinstance(y, Mapping):
        right = set(y) == {"start", "end"}
    elif isinstance(y, tuple):
        right = len(y) == 2
    else:
        # A list could mean two columns, or a pair for each example.
        right = y is None or (not isinstance(y, list) and tuple(y.shape)[-1:] == (2,))
    if not right:
        shape = "" if isinstance(y, (list, tuple, Mapping)) else f" of shape {tuple(y.shape)}"
        raise ValueError(
            "`y` must be a tuple (start, end), a dictionary with these keys, or an array of shape (batch, 2). "
            f"Received: a {type(y).__name__}{shape}"
        )
