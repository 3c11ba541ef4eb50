"""`AmbertTextClassifierPreprocessor`: from texts to inputs of `AmbertTextClassifier`."""

from typing import Any

import keras
import keras_hub
import tensorflow as tf

from ambert_tf.models.ambert_tokenizer import AmbertTokenizer
from ambert_tf.models.sequence_inputs import ROUND_ROBIN, SequenceInputs
from ambert_tf.models.task_config import MARKED_SPANS, PLAIN, TaskConfig


@keras.saving.register_keras_serializable(package="ambert_tf")
class AmbertTextClassifierPreprocessor(SequenceInputs, keras_hub.models.TextClassifierPreprocessor):
    """Tokenizes texts, or pairs of texts, into the inputs of `AmbertTextClassifier`.

    `x` is a string, a batch of strings or, with `pair=True`, a tuple of two of these. `y` and `sample_weight` are
    returned unchanged. The result is a dictionary with `g_input_ids` and `g_segment_ids`, int32 [batch, g_length], for
    both grains g. Sequences have the form `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]`, and both grains are truncated at
    the same place in the text.

    Args:
      tokenizer: an `AmbertTokenizer`.
      sequence_length: int. The maximum number of fine tokens, including [CLS] and [SEP].
      coarse_sequence_length: int. The maximum number of coarse tokens. Defaults to `sequence_length`.
      truncate: string. Must be `"round_robin"`: the longer text of a pair is truncated first.
      pair: bool. Whether an example has two texts.
      inputs: string. `"plain"`, or `"marked_spans"` for CLUEWSC2020. In the latter case, `x` is a dictionary with
        `text`, `span1_text`, `span1_index`, `span2_text` and `span2_index`, and the two spans are marked in the text.
      static_shapes: bool. Whether to pad to the maximum lengths, which XLA requires, rather than to the longest
        sequence in the batch.

    Examples:

    ```python
    preprocessor = ambert_tf.AmbertTextClassifierPreprocessor.from_preset("./my_preset", sequence_length=128)
    preprocessor("服务很好")
    preprocessor(["服务很好", "房间太小"], [1, 0])  # x, y

    # Pairs of texts.
    preprocessor = ambert_tf.AmbertTextClassifierPreprocessor.from_preset("./my_preset", pair=True)
    preprocessor((["服务很好"], ["房间太小"]), [1])
    preprocessor({"text": ["服务很好"], "text_pair": ["房间太小"]})

    ds = tf.data.Dataset.from_tensor_slices((["服务很好", "房间太小"], [1, 0]))
    ds = ds.batch(2).map(preprocessor, num_parallel_calls=tf.data.AUTOTUNE)
    ```
    """

    def __init__(
        self,
        tokenizer: AmbertTokenizer,
        sequence_length: int = 512,
        coarse_sequence_length: int | None = None,
        truncate: str = ROUND_ROBIN,
        pair: bool = False,
        inputs: str = PLAIN,
        static_shapes: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(tokenizer, **kwargs)
        self.pair = pair
        self.set_inputs(inputs, (PLAIN, MARKED_SPANS))
        self.set_sequences(tokenizer, sequence_length, coarse_sequence_length, truncate, static_shapes)

    @property
    def task(self) -> TaskConfig:
        return TaskConfig(task_name="", pair=bool(self.pair), inputs=self.inputs, **self.lengths())

    def model_inputs(self, **raw: tf.Tensor) -> dict[str, Any]:
        inputs = super().model_inputs(**raw)
        del inputs["fine_to_coarse"]  # classifiers do not align the grains
        return inputs

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pair": self.pair,
            "inputs": self.inputs,
        }
