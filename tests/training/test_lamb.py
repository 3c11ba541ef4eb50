import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.training.distribution import make_strategy
from ambert_tf.training.learning_rate import WarmupLinearDecay
from ambert_tf.training.optimizer import AdamW, AdamWSettings, Lamb
from tests.training.variables import variable

PATHS = ("dense/kernel", "dense/bias", "attention_layer_norm/gamma", "other/kernel")
STARTS = [[[0.5, -0.25], [1.0, 2.0]], [0.1, -0.2], [1.0, 1.0], [0.0, 0.0, 0.0]]
ADAPTED = [True, False, False, True]
GRADIENTS = [
    [[[3.0, -1.0], [0.0, 2.0]], [1.0, 1.0], [0.5, -0.5], [0.0, 1.0, 0.0]],  # norm above 1: clipped
    [[[0.1, 0.2], [0.3, -0.1]], [0.01, 0.02], [0.0, 0.1], [0.1, 0.0, 0.2]],  # below 1
    [[[0.0, 5.0], [1.0, 1.0]], [-2.0, 0.0], [0.3, 0.3], [0.1, 0.1, 0.1]],
]


def lamb(parameters, gradient_steps, rates, settings):
    """Algorithm 2 of You et al. in float64, with global clipping; no decay or trust ratio for biases and norms."""
    parameters = [np.array(value, np.float64) for value in parameters]
    m, v = ([np.zeros_like(value) for value in parameters] for _ in range(2))
    for step, gradients in enumerate(gradient_steps, start=1):
        gradients = [np.array(gradient, np.float64) for gradient in gradients]
        clip = min(1.0, settings.clip_norm / np.sqrt(sum((gradient**2).sum() for gradient in gradients)))
        for i, gradient in enumerate(gradients):
            m[i] = settings.beta_1 * m[i] + (1 - settings.beta_1) * clip * gradient
            v[i] = settings.beta_2 * v[i] + (1 - settings.beta_2) * (clip * gradient) ** 2
            m_hat, v_hat = m[i], v[i]
            if settings.bias_correction:
                m_hat, v_hat = m[i] / (1 - settings.beta_1**step), v[i] / (1 - settings.beta_2**step)
            r = m_hat / (np.sqrt(v_hat) + settings.epsilon)
            ratio = 1.0
            if ADAPTED[i]:
                r = r + settings.weight_decay * parameters[i]
                if np.linalg.norm(parameters[i]) > 0:
                    ratio = np.linalg.norm(parameters[i]) / np.linalg.norm(r)
            parameters[i] = parameters[i] - rates[step - 1] * ratio * r
    return parameters


@pytest.mark.parametrize("bias_correction", [True, False])
def test_three_steps_with_clipping_and_exclusions_are_those_of_lamb(bias_correction):
    settings = AdamWSettings(weight_decay=0.1, bias_correction=bias_correction, epsilon=1e-3)
    variables = [variable(path, start) for path, start in zip(PATHS, STARTS, strict=True)]
    optimizer = Lamb(variables, WarmupLinearDecay(0.1, 10), settings)
    for gradients in GRADIENTS:
        optimizer.apply_gradients([tf.constant(gradient) for gradient in gradients])
    expected = lamb(STARTS, GRADIENTS, [0.1, 0.09, 0.08], settings)
    for created, value in zip(variables, expected, strict=True):
        np.testing.assert_allclose(np.asarray(created), value, rtol=1e-4)


def test_the_norm_of_the_first_update_is_rate_times_weight_norm():
    weights = variable("dense/kernel", [3.0, 4.0])
    Lamb([weights], WarmupLinearDecay(0.01, 10)).apply_gradients([tf.constant([0.2, -0.1])])
    assert np.linalg.norm(np.asarray(weights) - [3.0, 4.0]) == pytest.approx(0.01 * 5.0, rel=1e-4)


def test_a_variable_without_weight_decay_is_updated_as_by_adamw():
    ours, adams = variable("dense/bias", [1.0, -2.0]), variable("dense/bias", [1.0, -2.0])
    for optimizer in (Lamb([ours], WarmupLinearDecay(0.01, 10)), AdamW([adams], WarmupLinearDecay(0.01, 10))):
        optimizer.apply_gradients([tf.constant([0.2, -0.1])])
    np.testing.assert_allclose(np.asarray(ours), np.asarray(adams), rtol=1e-6)


def test_replicas_agree():
    strategy = make_strategy(2)
    alone = variable("dense/kernel", [1.0, 2.0])
    Lamb([alone], WarmupLinearDecay(0.1, 10)).apply_gradients([tf.constant([0.3, 0.1])])
    with strategy.scope():
        shared = variable("dense/kernel", [1.0, 2.0])
        optimizer = Lamb([shared], WarmupLinearDecay(0.1, 10))
    step = tf.function(lambda: optimizer.apply_gradients([tf.constant([0.15, 0.05])]), autograph=False)
    strategy.run(step)
    for copy in strategy.experimental_local_results(shared.value):
        np.testing.assert_allclose(copy.numpy(), np.asarray(alone), rtol=1e-6)
