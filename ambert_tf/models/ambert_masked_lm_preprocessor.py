"""`AmbertMaskedLMPreprocessor`: from texts to masked sequences of both grains."""

import math
import random
from collections.abc import Callable
from typing import Any

import keras
import keras_hub
import tensorflow as tf
from keras_hub.src.utils.tensor_utils import preprocessing_function

from ambert_tf.models.ambert_tokenizer import AmbertTokenizer
from ambert_tf.models.sequence_inputs import ROUND_ROBIN, SequenceInputs
from ambert_tf.models.task_inputs import task_inputs
from ambert_tf.pretraining_data.masking import MaskingSettings, mask_sequences
from ambert_tf.pretraining_data.random_keys import seed_key, tf_fold

GRAINS = ("fine", "coarse")


@keras.saving.register_keras_serializable(package="ambert_tf")
class AmbertMaskedLMPreprocessor(SequenceInputs, keras_hub.models.MaskedLMPreprocessor):
    """Tokenizes texts and masks both grains jointly, as in AMBERT's pre-training.

    In each sequence, a fraction `mask_selection_rate` of the coarse tokens is chosen, together with the fine tokens
    inside them. BERT's 80/10/10 rule (`[MASK]`, a random token, unchanged) is drawn once per chosen coarse token and
    applied to both grains.

    `x` is a string or a batch of strings. The result is `(x, y, sample_weight)`. Here `x` contains the backbone's
    inputs and, for each grain g, `g_masked_lm_positions`, int32 [batch, g_predictions], and `g_masked_lm_weights`, 0 at
    padding. `y` contains the original ids by grain, and `sample_weight` the weights by grain: 0 at padding, otherwise 1
    or the weight of the text, if the preprocessor is called with a `sample_weight` per text. A given `y` is ignored.

    Args:
      tokenizer: an `AmbertTokenizer`.
      sequence_length: int. The maximum number of fine tokens, including [CLS] and [SEP].
      coarse_sequence_length: int. The maximum number of coarse tokens. Defaults to `sequence_length`.
      truncate: string. Must be `"round_robin"`: the longer text of a pair is truncated first.
      mask_selection_rate: float. Fraction of the coarse tokens to choose.
      mask_selection_length: int. The maximum number of masked tokens per grain. The default is effectively unlimited.
      static_shapes: bool. Whether to pad to the maximum lengths, which XLA requires.
      seed: int. Makes masking a function of the text, for evaluation on a fixed set. Defaults to `None`, which masks
        texts differently in each epoch. `keras.utils.set_random_seed` then makes the masks reproducible, if batches are
        not preprocessed in parallel.

    Example:

    ```python
    preprocessor = ambert_tf.AmbertMaskedLMPreprocessor.from_preset("./my_preset", sequence_length=128)
    x, y, sample_weight = preprocessor(["商店里的乒乓球拍卖完了", "服务很好"])
    y["coarse"]  # the ids of the masked coarse tokens
    ```
    """

    _random: Callable[[], tf.random.Generator] | None = None

    def __init__(
        self, tokenizer: AmbertTokenizer, sequence_length: int = 512, coarse_sequence_length: int | None = None,
        truncate: str = ROUND_ROBIN, mask_selection_rate: float = 0.15, mask_selection_length: int | None = None,
        static_shapes: bool = False, mask_token_rate: float = 0.8, random_token_rate: float = 0.1,
        seed: int | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        if not math.isclose(mask_token_rate, 0.8) or not math.isclose(random_token_rate, 0.1):
            raise ValueError(
                "`mask_token_rate` and `random_token_rate` must be 0.8 and 0.1, as in BERT. "
                f"Received: mask_token_rate={mask_token_rate}, random_token_rate={random_token_rate}"
            )
        super().__init__(
            tokenizer,
            mask_selection_rate=mask_selection_rate,
            mask_selection_length=mask_selection_length,
            **kwargs,
        )
        self.seed = seed
        self.set_sequences(tokenizer, sequence_length, coarse_sequence_length, truncate, static_shapes)

    @preprocessing_function
    def call(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        made: Any = self.preprocess(x)
        inputs, ids, weights = made
        if sample_weight is not None:
            rank = weights["fine"].shape.rank  # 1 for a single text
            of_texts = tf.reshape(tf.cast(sample_weight, tf.float32), [-1] + [1] * (rank - 1))
            weights = {grain: of_texts * values for grain, values in weights.items()}
        return keras.utils.pack_x_y_sample_weight(inputs, ids, weights)

    def model_inputs(self, **raw: tf.Tensor) -> Any:
        sequences = task_inputs(self.task, self.tokenizer.tokenizer, **raw)
        rule = MaskingSettings.for_tokenizer(
            self.tokenizer.tokenizer,
            max_seq_length=self.sequence_length,
            max_coarse_seq_length=self.coarse_sequence_length,
            masked_lm_prob=self.mask_selection_rate,
            max_predictions_per_seq=self.mask_selection_length,
        )
        if self.seed is None:
            keys = self._generator().uniform_full_int([sequences["fine_input_ids"].nrows()], tf.uint64)
        else:
            keys = tf_fold(tf.constant(seed_key(self.seed)), tf.bitcast(tf.fingerprint(raw["text"]), tf.uint64))
        masked = mask_sequences(sequences, keys, rule)
        inputs = self.pad({
            f"{grain}_{name}": masked[f"{grain}_{name}"] for grain in GRAINS for name in ("input_ids", "segment_ids")
        })  # fmt: skip
        ids, weights = {}, {}
        limits = {"fine": rule.max_fine_predictions, "coarse": rule.max_coarse_predictions}
        for grain in GRAINS:
            shape = [None, limits[grain]]  # the same for every batch, because `predict` concatenates the batches
            positions = masked[f"{grain}_masked_lm_positions"]
            inputs[f"{grain}_masked_lm_positions"] = positions.to_tensor(shape=shape)
            ids[grain] = tf.cast(masked[f"{grain}_masked_lm_ids"], tf.int32).to_tensor(shape=shape)
            real = positions.with_flat_values(tf.ones_like(positions.flat_values, tf.float32))
            weights[grain] = real.to_tensor(shape=shape)
            inputs[f"{grain}_masked_lm_weights"] = weights[grain]
        return inputs, ids, weights

    def _generator(self) -> tf.random.Generator:
        """Returns the generator of random masks. Like Keras' generators, it gets a seed from Python's `random`."""
        if self._random is None:
            # Outside of the graph of `tf.data.Dataset.map`, because an op's random state ends with the iterator.
            with tf.init_scope(), tf.device("cpu:0"):
                generator = tf.random.Generator.from_seed(random.getrandbits(63))
            self._random = lambda: generator  # a function, so that Keras does not track it as part of this layer
        return self._random()

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}
