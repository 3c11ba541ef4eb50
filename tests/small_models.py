"""Small models and inputs that tests share."""

import numpy as np
import tensorflow as tf

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_masked_lm import AmbertMaskedLM
from ambert_tf.models.config import ModelConfig


def small_config(model_type="ambert", **changes):
    """Returns a configuration with 2 layers, 2 heads and no dropout."""
    sizes = {
        "vocab_size": 50,
        "coarse_vocab_size": 80,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "max_position_embeddings": 20,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    return ModelConfig(**{**sizes, **changes}, model_type=model_type).validate()


def masked_lm(config, next_sentence=False, **backbone_arguments):
    """Returns a model as created by pre-training."""
    backbone = AmbertBackbone.from_model_config(config, **backbone_arguments)
    return AmbertMaskedLM(backbone, next_sentence, compile=False)


def random_inputs(fine=((7, 5, 2), 7), coarse=((4, 3, 2), 5), seed=0):
    """Returns inputs of three sequences, given the real lengths and the padded length of each grain."""
    random = np.random.default_rng(seed)
    inputs = {}
    for grain, (lengths, padded), vocab in (("fine", fine, 50), ("coarse", coarse, 80)):
        ids = random.integers(5, vocab, (len(lengths), padded)) * (np.arange(padded) < np.array(lengths)[:, None])
        segments = random.integers(0, 2, ids.shape)
        inputs[f"{grain}_input_ids"] = tf.constant(ids, tf.int32)
        inputs[f"{grain}_segment_ids"] = tf.constant(segments, tf.int32)
    return inputs


def pretraining_inputs(rows=6, length=9, predictions=3, seed=0):
    """Returns pre-training inputs. Every second row has one masked token less than `predictions`."""
    random = np.random.default_rng(seed)
    inputs = {}
    for grain, vocab in (("fine", 50), ("coarse", 80)):
        inputs[f"{grain}_input_ids"] = random.integers(5, vocab, (rows, length)).astype(np.int32)
        inputs[f"{grain}_segment_ids"] = np.zeros((rows, length), np.int32)
        positions = np.stack([random.choice(length, predictions, replace=False) for _ in range(rows)])
        weights = np.ones((rows, predictions), np.float32)
        weights[::2, -1] = 0
        ids = random.integers(5, vocab, (rows, predictions))
        inputs[f"{grain}_masked_lm_positions"] = (positions * weights).astype(np.int32)
        inputs[f"{grain}_masked_lm_ids"] = (ids * weights).astype(np.int32)
        inputs[f"{grain}_masked_lm_weights"] = weights
    return inputs
