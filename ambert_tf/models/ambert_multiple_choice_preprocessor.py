"""`AmbertMultipleChoicePreprocessor`: from contexts, questions and choices to inputs of `AmbertMultipleChoice`."""

from typing import Any

import keras
import keras_hub
import tensorflow as tf

from ambert_tf.models.ambert_tokenizer import AmbertTokenizer
from ambert_tf.models.sequence_inputs import SequenceInputs
from ambert_tf.models.task_config import IDIOMS, MULTIPLE_CHOICE, PLAIN, TaskConfig


@keras.saving.register_keras_serializable(package="ambert_tf")
class AmbertMultipleChoicePreprocessor(SequenceInputs, keras_hub.models.Preprocessor):
    """Builds one sequence per choice: `[CLS] context [SEP] question with choice [SEP]`.

    `x` is a tuple `(context, question, choices)` or a dictionary with these keys: strings [batch], [batch] and [batch,
    choices]. An empty string stands for a missing choice. `y` and `sample_weight` are returned unchanged. The result is
    a dictionary with `g_input_ids` and `g_segment_ids`, int32 [batch, choices, g_length], for both grains g.

    Args:
      tokenizer: an `AmbertTokenizer`.
      sequence_length: int. The maximum number of fine tokens, including [CLS] and [SEP].
      coarse_sequence_length: int. The maximum number of coarse tokens. Defaults to `sequence_length`.
      inputs: string. `"plain"`, or `"idioms"` for ChID, where the choices fill a blank in the context.
      static_shapes: bool. Whether to pad to the maximum lengths, which XLA requires.
    """

    def __init__(
        self,
        tokenizer: AmbertTokenizer,
        sequence_length: int = 512,
        coarse_sequence_length: int | None = None,
        inputs: str = PLAIN,
        static_shapes: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.set_inputs(inputs, (PLAIN, IDIOMS))
        self.set_sequences(tokenizer, sequence_length, coarse_sequence_length, static_shapes=static_shapes)

    @property
    def task(self) -> TaskConfig:
        return TaskConfig(task_name="", form=MULTIPLE_CHOICE, inputs=self.inputs, pair=True, **self.lengths())

    def model_inputs(self, **raw: tf.Tensor) -> dict[str, Any]:
        inputs = super().model_inputs(**raw)
        del inputs["fine_to_coarse"]
        shape = tf.shape(raw["choices"])
        return {
            name: tf.reshape(value, tf.stack([shape[0], shape[1], tf.shape(value)[1]]))
            for name, value in inputs.items()
        }

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "inputs": self.inputs}
