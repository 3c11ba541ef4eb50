import keras
import numpy as np
import pytest

from ambert_tf.models.bert_optimizer import BertAdamW, BertLearningRate


def test_learning_rate_of_a_fit():
    schedule = BertLearningRate(1.0)
    assert float(schedule(7)) == 1.0
    schedule.set_steps(10, 100)
    assert [round(float(schedule(step)), 6) for step in (10, 15, 20, 60, 110)] == [0.0, 0.5, 0.9, 0.5, 0.0]
    # Fewer than ten steps have no warm-up; a single step would change nothing.
    schedule.set_steps(5, 1)
    assert float(schedule(5)) == 1.0


def test_updates_are_those_of_keras_adamw():
    random = np.random.default_rng(1)
    start = {"kernel": random.normal(size=(3, 4)), "bias": random.normal(size=4)}
    gradients = [[random.normal(size=value.shape) for value in start.values()] for _ in range(3)]
    expected = keras.optimizers.AdamW(0.1, weight_decay=0.01, epsilon=1e-6, global_clipnorm=1.0)
    expected.exclude_from_weight_decay(var_names=["bias"])
    found = []
    for optimizer in (BertAdamW(0.1), expected):
        variables = [keras.Variable(value, dtype="float32", name=name) for name, value in start.items()]
        for each in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(gradient, "float32") for gradient in each], variables)
        found.append([variable.numpy() for variable in variables])
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-5)
    assert np.abs(found[0][0] - start["kernel"]).max() > 0.1


def test_half_precision_variables_are_refused():
    variable = keras.Variable(np.zeros(2), dtype="bfloat16")
    with pytest.raises(ValueError, match=r'`dtype="mixed_bfloat16"`.*Received: variables of dtype bfloat16'):
        BertAdamW().build([keras.Variable(np.zeros(2), dtype="float32"), variable])
