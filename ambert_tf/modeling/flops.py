"""How many floating-point operations a model needs; a product and an addition count as two."""

from typing import TypeAlias

import tensorflow as tf

from ambert_tf.modeling.config import ModelConfig

Amount: TypeAlias = tf.Tensor | float

BACKWARD_FACTOR = 2  # the backward pass has two matrix products for each one of the forward pass


def encoder_flops(
    config: ModelConfig, tokens: tf.Tensor | float, squared_lengths: tf.Tensor | float
) -> tf.Tensor | float:
    """Returns the forward operations of one encoder's matrix products.

    Args:
      config: the model's sizes.
      tokens: tokens in all sequences.
      squared_lengths: sum over the sequences of their squared lengths, for the attention.
    """
    hidden, intermediate = config.hidden_size, config.intermediate_size
    by_token = 2.0 * (4 * hidden * hidden + 2 * hidden * intermediate)
    return config.num_hidden_layers * (by_token * tokens + 4.0 * hidden * squared_lengths)


def masked_lm_flops(config: ModelConfig, grain: str, predictions: Amount) -> Amount:
    """Returns the forward operations of one grain's masked-LM head."""
    hidden = config.hidden_size
    return 2.0 * hidden * (hidden + config.grain_vocab_size(grain)) * predictions


def pretraining_flops(
    config: ModelConfig, lengths: dict[str, tf.Tensor], predictions: dict[str, tf.Tensor]
) -> tf.Tensor:
    """Returns the operations of a pre-training step, forward and backward, padding left out.

    Args:
      config: the model's sizes.
      lengths: for each grain float32 [batch], the real tokens of each sequence.
      predictions: for each grain the masked tokens of the batch, a float32 scalar.
    """
    # AMBERT-Hybrid's one sequence is as long as both together.
    together = config.model_type == "ambert_hybrid"
    sequences = [tf.add_n(list(lengths.values()))] if together else list(lengths.values())
    forward = tf.add_n(
        [encoder_flops(config, tf.reduce_sum(lengths), tf.reduce_sum(tf.square(lengths))) for lengths in sequences]
        + [masked_lm_flops(config, grain, count) for grain, count in predictions.items()]
    )
    return (1 + BACKWARD_FACTOR) * forward
