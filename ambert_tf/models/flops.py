"""Parameter counts and floating-point operations (FLOPs) of models. A multiply-add counts as two FLOPs."""

from collections.abc import Mapping
from typing import TypeAlias

import tensorflow as tf

from ambert_tf.models.config import ModelConfig

Amount: TypeAlias = tf.Tensor | float

BACKWARD_FACTOR = 2  # the backward pass has two matrix products for each one in the forward pass


def encoder_flops(config: ModelConfig, tokens: Amount, squared_lengths: Amount) -> Amount:
    """Returns the FLOPs of one encoder's matrix products in the forward pass.

    Args:
      config: the model's sizes.
      tokens: total number of tokens.
      squared_lengths: the sum of the squared sequence lengths, for the attention.
    """
    hidden, intermediate = config.hidden_size, config.intermediate_size
    by_token = 2.0 * (4 * hidden * hidden + 2 * hidden * intermediate)
    return config.num_hidden_layers * (by_token * tokens + 4.0 * hidden * squared_lengths)


def model_flops(config: ModelConfig, lengths: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Returns the FLOPs of a backbone's forward pass, excluding padding.

    Args:
      config: the model's sizes.
      lengths: the number of real tokens in each sequence, float32 [batch], by grain.
    """
    read = [tf.convert_to_tensor(lengths[grain]) for grain in config.grains]
    # AMBERT-Hybrid's only sequence is the concatenation of both.
    sequences = [tf.add_n(read)] if config.model_type == "ambert_hybrid" else read
    return tf.add_n([encoder_flops(config, tf.reduce_sum(each), tf.reduce_sum(tf.square(each))) for each in sequences])


def masked_lm_flops(config: ModelConfig, grain: str, predictions: Amount) -> Amount:
    """Returns the FLOPs of one grain's masked-LM head in the forward pass."""
    hidden = config.hidden_size
    return 2.0 * hidden * (hidden + config.grain_vocab_size(grain)) * predictions


def pretraining_flops(
    config: ModelConfig, lengths: Mapping[str, tf.Tensor], predictions: Mapping[str, tf.Tensor]
) -> tf.Tensor:
    """Returns the FLOPs of a pre-training step, forward and backward, excluding padding.

    Args:
      config: the model's sizes.
      lengths: the number of real tokens in each sequence, float32 [batch], by grain.
      predictions: the number of masked tokens in the batch, a float32 scalar, by grain.
    """
    heads = tf.add_n([masked_lm_flops(config, grain, count) for grain, count in predictions.items()])
    return (1 + BACKWARD_FACTOR) * (model_flops(config, lengths) + heads)


def parameter_count(config: ModelConfig, masked_lm_heads: bool = False) -> int:
    """Returns the number of parameters of a model, including the pooler, without creating the model.

    Args:
      config: the model's sizes.
      masked_lm_heads: whether to include the masked-LM heads, whose output weights are tied to the token tables.
    """
    hidden, grains, model_type = config.hidden_size, config.grains, config.model_type
    dense = hidden * hidden + hidden
    feed_forward = 2 * hidden * config.intermediate_size + config.intermediate_size + hidden
    layer_norm = 2 * hidden
    positions = config.max_position_embeddings * hidden
    encoder = (
        positions + config.type_vocab_size * hidden + layer_norm
        + config.num_hidden_layers * (4 * dense + feed_forward + 2 * layer_norm)
        + dense
    )  # fmt: skip
    copies = len(grains) if model_type == "ambert_combo" else 1
    vocabulary = sum(config.grain_vocab_size(grain) for grain in grains)
    count = vocabulary * hidden + copies * encoder + (positions if model_type == "ambert_hybrid" else 0)
    return count + (copies * (dense + layer_norm) + vocabulary if masked_lm_heads else 0)
