import math

import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.config import MODEL_TYPES
from ambert_tf.models.encoder import Encoder
from tests.small_models import random_inputs, small_config


def layer_norm(x, weights, name):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
    return x * weights[f"{name}/gamma"] + weights[f"{name}/beta"]


def dense(x, weights, name):
    return x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]


def layer_of_weights(x, attention, weights):
    """A Transformer layer in NumPy with the given attention weights [batch, heads, length, length]."""
    batch, heads, length, _ = attention.shape
    values = dense(x, weights, "attention/value").reshape(batch, length, heads, -1).transpose(0, 2, 1, 3)
    context = (attention @ values).transpose(0, 2, 1, 3).reshape(x.shape)
    x = layer_norm(x + dense(context, weights, "attention/output"), weights, "attention_layer_norm")
    hidden = dense(x, weights, "intermediate")
    hidden = hidden * 0.5 * (1 + np.vectorize(math.erf)(hidden / np.sqrt(2)))
    return layer_norm(x + dense(hidden, weights, "output"), weights, "output_layer_norm")


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_attention_weights_reproduce_the_outputs(model_type):
    config = small_config(model_type)
    model = AmbertBackbone.from_model_config(config)
    random = np.random.default_rng(1)
    for variable in model.weights:
        variable.assign(random.normal(size=variable.shape).astype(np.float32) * 0.3)
    inputs = random_inputs()
    attention, outputs = model.attention_weights(inputs), model(inputs)
    embedded = {
        grain: model.encoders[grain].embeddings(
            inputs[f"{grain}_input_ids"], inputs[f"{grain}_segment_ids"], grain=grain
        ).numpy()
        for grain in model.grains
    }
    if model_type == "ambert_hybrid":
        embedded = dict.fromkeys(model.grains, np.concatenate([embedded["fine"], embedded["coarse"]], axis=1))
    for grain in model.grains:
        x = embedded[grain].astype(np.float64)
        for index in range(config.num_hidden_layers):
            prefix = f"{model.encoders[grain].encoder.path}/layer_{index}/"
            weights = {
                variable.path.removeprefix(prefix): np.asarray(variable, np.float64)
                for variable in model.weights
                if variable.path.startswith(prefix)
            }
            x = layer_of_weights(x, attention[grain][index].numpy().astype(np.float64), weights)
        if model_type == "ambert_hybrid":
            x = x[:, :7] if grain == "fine" else x[:, 7:]
        np.testing.assert_allclose(outputs[f"{grain}_sequence_output"], x, atol=2e-5)


def test_batches_are_encoded_together_but_independently():
    encoder = Encoder(small_config(), seed=1, name="encoder")
    encoder.build()
    random = np.random.default_rng(0)
    sequences = [tf.constant(random.normal(size=(3, length, 16)), tf.float32) for length in (7, 5)]
    real = [tf.sequence_mask([7, 5, 2], 7), tf.sequence_mask([4, 3, 2], 5)]
    together, _ = encoder(sequences, real)
    for sequence, mask, found in zip(sequences, real, together, strict=True):
        ((alone,), _) = encoder([sequence], [mask])
        np.testing.assert_allclose(found, alone, atol=1e-6)


def test_weights_are_returned_on_request():
    encoder = Encoder(small_config(), name="encoder")
    encoder.build()
    sequence, real = tf.ones([2, 4, 16]), tf.sequence_mask([4, 1], 4)
    _, weights = encoder([sequence], [real], return_weights=True)
    assert [[part.shape.as_list() for part in layer] for layer in weights] == [[[2, 2, 4, 4]]] * 2
    np.testing.assert_allclose(weights[0][0][1, :, :, 0], 1.0, atol=1e-6)  # nothing else is real
    assert encoder([sequence], [real])[1] == [[], []]
