import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.models.layers import activation_function, dropout


def test_gelu_and_its_gradient_are_tensorflows():
    x = tf.linspace(-6.0, 6.0, 101)
    found = []
    for function in (activation_function("gelu"), tf.nn.gelu):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        found.append((y, tape.gradient(y, x)))
    np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-6)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-6)


def test_gelu_of_bfloat16_is_as_precise_as_bfloat16():
    x = tf.cast(tf.linspace(-6.0, 6.0, 101), tf.bfloat16)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = activation_function("gelu")(x)
    gradient = tape.gradient(y, x)
    wide = tf.cast(x, tf.float32)
    assert y.dtype == gradient.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(y, tf.float32), tf.nn.gelu(wide), rtol=2**-7, atol=1e-6)
    with tf.GradientTape() as tape:
        tape.watch(wide)
        exact = tf.nn.gelu(wide)
    expected = tape.gradient(exact, wide)
    np.testing.assert_allclose(tf.cast(gradient, tf.float32), expected, rtol=2**-7, atol=1e-6)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_keeps_the_mean_and_drops_the_given_fraction(rate):
    x = tf.ones([301, 333])  # an odd number of elements
    dropped = dropout(x, rate, tf.constant([1, 2]), site=0).numpy()
    assert set(np.unique(dropped)) == {np.float32(0), np.float32(1 / (1 - rate))}
    assert (dropped == 0).mean() == pytest.approx(rate, abs=0.005)
    # Neighbours are independent of each other.
    zero = dropped == 0
    assert (zero[:, 1:] & zero[:, :-1]).mean() == pytest.approx(rate**2, abs=0.005)
    assert (zero[1:] & zero[:-1]).mean() == pytest.approx(rate**2, abs=0.005)


def test_dropout_differs_by_site_and_seed_only():
    x = tf.ones([50, 50])
    one, again, site, seed = (
        dropout(x, 0.5, tf.constant([1, seed]), site).numpy() for seed, site in ((2, 0), (2, 0), (2, 1), (3, 0))
    )
    np.testing.assert_array_equal(one, again)
    for other in (site, seed):
        assert ((one == 0) == (other == 0)).mean() == pytest.approx(0.5, abs=0.05)


def test_without_seed_or_rate_nothing_is_dropped():
    x = tf.ones([3])
    assert dropout(x, 0.5, None, 0) is x
    assert dropout(x, 0.0, tf.constant([1, 2]), 0) is x
