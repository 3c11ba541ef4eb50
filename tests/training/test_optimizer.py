import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.training.learning_rate import WarmupLinearDecay
from ambert_tf.training.optimizer import AdamW, AdamWSettings
from ambert_tf.training.precision import LossScale
from tests.small_models import masked_lm, small_config
from tests.training.variables import variable


def adamw(parameters, gradient_steps, rates, settings, decayed):
    """AdamW (Loshchilov and Hutter, algorithm 2) in float64, clipped by the global norm."""
    parameters = [np.array(value, np.float64) for value in parameters]
    first, second = ([np.zeros_like(value) for value in parameters] for _ in range(2))
    for step, gradients in enumerate(gradient_steps):
        norm = np.sqrt(sum((np.array(g) ** 2).sum() for g in gradients))
        scale = min(1.0, settings.clip_norm / norm)
        for i, gradient in enumerate(np.array(g, np.float64) * scale for g in gradients):
            first[i] = settings.beta_1 * first[i] + (1 - settings.beta_1) * gradient
            second[i] = settings.beta_2 * second[i] + (1 - settings.beta_2) * gradient**2
            m, v = first[i], second[i]
            if settings.bias_correction:
                m, v = m / (1 - settings.beta_1 ** (step + 1)), v / (1 - settings.beta_2 ** (step + 1))
            update = m / (np.sqrt(v) + settings.epsilon)
            if decayed[i]:
                update = update + settings.weight_decay * parameters[i]
            parameters[i] = parameters[i] - rates[step] * update
    return parameters


@pytest.mark.parametrize("bias_correction", [True, False])
def test_three_steps_with_clipping_and_exclusions_are_those_of_adamw(bias_correction):
    settings = AdamWSettings(weight_decay=0.1, bias_correction=bias_correction, epsilon=1e-3)
    paths = ("dense/kernel", "dense/bias", "attention_layer_norm/gamma")
    starts = [[[0.5, -0.25], [1.0, 2.0]], [0.1, -0.2], [1.0, 1.0]]
    gradients = [
        [[[3.0, -1.0], [0.0, 2.0]], [1.0, 1.0], [0.5, -0.5]],  # norm above 1: clipped
        [[[0.1, 0.2], [0.3, -0.1]], [0.01, 0.02], [0.0, 0.1]],  # below 1
        [[[0.0, 5.0], [1.0, 1.0]], [-2.0, 0.0], [0.3, 0.3]],
    ]
    variables = [variable(path, start) for path, start in zip(paths, starts, strict=True)]
    optimizer = AdamW(variables, WarmupLinearDecay(0.1, 10, 2), settings)
    norms, rates = [], []
    for step in gradients:
        result = optimizer.apply_gradients([tf.constant(g) for g in step])
        norms.append(float(result["gradient_norm"]))
        rates.append(float(result["learning_rate"]))
    assert rates == pytest.approx([0.0, 0.05, 0.08])
    assert norms[0] == pytest.approx(np.sqrt(9 + 1 + 4 + 1 + 1 + 0.25 + 0.25))
    expected = adamw(starts, gradients, rates, settings, decayed=[True, False, False])
    for created, value in zip(variables, expected, strict=True):
        np.testing.assert_allclose(np.asarray(created), value, rtol=1e-4)
    assert int(optimizer.step.numpy()) == int(optimizer.updates.numpy()) == 3


def test_layer_norms_and_biases_have_no_weight_decay():
    model = masked_lm(small_config(num_hidden_layers=1))
    optimizer = AdamW(model.trainable_variables, WarmupLinearDecay(1.0, 1))
    decayed = {v.path for v in model.trainable_variables if optimizer.decays(v)}
    layer = "backbone/encoder/layer_0/"
    assert decayed == {
        "backbone/embeddings/fine_token_embeddings",
        "backbone/embeddings/coarse_token_embeddings",
        "backbone/embeddings/position_embeddings",
        "backbone/embeddings/segment_embeddings",
        *(f"{layer}attention/{name}/kernel" for name in ("query", "key", "value", "output")),
        f"{layer}intermediate/kernel",
        f"{layer}output/kernel",
        "backbone/pooler/kernel",
        "masked_lm_head/transform/kernel",
    }


def test_a_variable_without_gradient_stays_unchanged():
    used, unused = variable("a/kernel", [1.0]), variable("b/kernel", [1.0])
    AdamW([used, unused], WarmupLinearDecay(0.1, 10)).apply_gradients([tf.constant([1.0]), None])
    assert float(used[0]) < 1.0
    assert float(unused[0]) == 1.0


def test_a_nonfinite_gradient_changes_only_the_step():
    weight = variable("a/kernel", [1.0, 2.0])
    optimizer = AdamW([weight], WarmupLinearDecay(0.1, 10))
    norm = optimizer.apply_gradients([tf.constant([1.0, np.inf])])["gradient_norm"]
    assert not np.isfinite(norm)
    np.testing.assert_array_equal(np.asarray(weight), [1.0, 2.0])
    np.testing.assert_array_equal(optimizer.first_moments[0], [0.0, 0.0])
    assert (int(optimizer.step.numpy()), int(optimizer.updates.numpy())) == (1, 0)


def test_the_gradients_are_divided_by_the_loss_scale():
    plain, scaled = variable("a/kernel", [1.0, 2.0]), variable("a/kernel", [1.0, 2.0])
    AdamW([plain], WarmupLinearDecay(0.1, 10)).apply_gradients([tf.constant([0.3, -0.4])])
    optimizer = AdamW([scaled], WarmupLinearDecay(0.1, 10), loss_scale=LossScale(initial=8.0))
    norm = optimizer.apply_gradients([tf.constant([2.4, -3.2])])["gradient_norm"]
    assert float(norm) == pytest.approx(0.5)
    np.testing.assert_allclose(np.asarray(scaled), np.asarray(plain), rtol=1e-6)


def test_the_loss_scale_halves_and_doubles():
    scale = LossScale(initial=8.0, growth_interval=2)
    seen = []
    for finite in (True, False, False, True, True, True):
        scale.update(tf.constant(finite))
        seen.append(float(scale.scale.numpy()))
    assert seen == [8.0, 4.0, 2.0, 2.0, 4.0, 4.0]
    for _ in range(5):
        scale.update(tf.constant(False))
    assert float(scale.scale.numpy()) == 1.0
