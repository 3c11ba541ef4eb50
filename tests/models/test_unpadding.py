import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.config import MODEL_TYPES
from ambert_tf.models.unpadding import PaddedTokens, UnpaddedTokens
from tests.small_models import random_inputs, small_config

MASKS = [np.array([[1, 1, 0], [0, 0, 0], [1, 1, 1]], bool), np.array([[0, 1], [0, 0], [1, 0]], bool)]


def parts(masks, size=2):
    return [tf.reshape(tf.range(1.0, 1 + size * np.size(mask)) + 100 * i, [-1, size]) for i, mask in enumerate(masks)]


@pytest.mark.parametrize(("multiple", "count"), [(1, 7), (7, 7), (4, 8), (6, 12), (16, 15)])
def test_real_tokens_round_trip(multiple, count):
    rows = UnpaddedTokens([tf.constant(mask) for mask in MASKS], multiple)
    values = parts(MASKS)
    tokens = rows.join(values)
    assert tokens.shape == (count, 2)  # 7 of 15 are real
    real = [mask.reshape(-1) for mask in MASKS]
    if count == 7:
        expected = [value[mask] for value, mask in zip(values, real, strict=True)]
        np.testing.assert_array_equal(tokens, np.concatenate(expected))
    for value, mask, back in zip(values, real, rows.separate(tokens), strict=True):
        np.testing.assert_array_equal(back[mask], value[mask])


@pytest.mark.parametrize("multiple", [1, 4, 16])
def test_gradients_are_those_of_the_real_tokens(multiple):
    masks = [tf.constant(mask) for mask in MASKS]
    values = [tf.Variable(value) for value in parts(MASKS)]
    found = []
    for rows in (UnpaddedTokens(masks, multiple), PaddedTokens(masks)):
        with tf.GradientTape() as tape:
            back = rows.separate(tf.square(rows.join([tf.convert_to_tensor(value) for value in values])))
            weights = [tf.reshape(tf.cast(mask, tf.float32), [-1, 1]) * 3 for mask in masks]
            loss = tf.add_n([tf.reduce_sum(part * weight) for part, weight in zip(back, weights, strict=True)])
        found.append(tape.gradient(loss, values))
    for packed, padded in zip(*found, strict=True):
        np.testing.assert_array_equal(packed, padded)
    assert np.count_nonzero(found[0][0]) == 2 * 5  # the first mask's


@pytest.mark.parametrize(("rows", "multiple"), [(0, 1), (0, 16), (2, 1), (2, 16)])
def test_batches_without_real_tokens(rows, multiple):
    packed = UnpaddedTokens([tf.zeros([rows, 3], tf.bool)], multiple)
    (back,) = packed.separate(packed.join([tf.ones([rows * 3, 4])]))
    assert back.shape == (rows * 3, 4)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_unpadded_training_equals_padded_training(model_type):
    config = small_config(model_type, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    inputs = random_inputs(fine=((7, 5, 0), 7), coarse=((4, 2, 0), 5))  # the last sequence is a missing choice
    random = np.random.default_rng(1)
    found = []
    for static_shapes in (False, True):
        model = AmbertBackbone.from_model_config(config, static_shapes=static_shapes)
        if not found:
            start = [random.normal(size=variable.shape).astype(np.float32) * 0.3 for variable in model.weights]
        for variable, value in zip(model.weights, start, strict=True):
            variable.assign(value)
        with tf.GradientTape() as tape:
            outputs = model(inputs, training=True, seed=tf.constant([1, 2]))
            real = {grain: inputs[f"{grain}_input_ids"] != 0 for grain in config.grains}
            values = {
                grain: tf.boolean_mask(outputs[f"{grain}_sequence_output"], real[grain]) for grain in config.grains
            }
            loss = tf.add_n([tf.reduce_sum(tf.sin(value)) for value in values.values()])
        gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
        found.append((values, [g if g is None else tf.convert_to_tensor(g) for g in gradients]))
    (values, gradients), (padded_values, padded_gradients) = found
    for grain, value in values.items():
        np.testing.assert_allclose(value, padded_values[grain], atol=2e-5)
    assert sum(gradient is not None for gradient in gradients) > 20
    for gradient, padded in zip(gradients, padded_gradients, strict=True):
        assert (gradient is None) == (padded is None)
        if gradient is not None:
            np.testing.assert_allclose(gradient, padded, atol=2e-4)


def test_training_computes_only_real_tokens():
    model = AmbertBackbone.from_model_config(small_config("bert_fine"))
    ids = np.zeros([2, 20], np.int32)
    ids[0], ids[1, :2] = 2, 2
    counts = []
    intermediate = model.encoders["fine"].encoder.parts[0].intermediate
    call = intermediate.call
    intermediate.call = lambda x: counts.append(x.shape[0]) or call(x)
    model({"fine_input_ids": ids, "fine_segment_ids": 0 * ids}, training=True)
    model({"fine_input_ids": ids, "fine_segment_ids": 0 * ids})
    assert counts == [32, 40]  # 22 are real
