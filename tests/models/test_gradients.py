import gc
import weakref

import pytest
import tensorflow as tf

from ambert_tf.models.gradients import custom_gradient
from ambert_tf.models.layers import gelu


@custom_gradient
def times_five(x):
    return 2.0 * x, lambda upstream: 5.0 * upstream


def gradient(function, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return float(tape.gradient(y, x))


def in_while_loop(x):
    return tf.while_loop(lambda i, _: i < 2, lambda i, value: (i + 1, times_five(value)), (0, x))[1]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (times_five, 5.0),
        (tf.function(times_five), 5.0),
        (tf.function(lambda x: times_five(times_five(x))), 25.0),
        (tf.function(in_while_loop), 25.0),
        (tf.function(lambda x: tf.cond(x > 0, lambda: times_five(x), lambda: x)), 5.0),
        (tf.function(times_five, jit_compile=True), 5.0),
    ],
    ids=["eager", "graph", "nested", "while loop", "condition", "XLA"],
)
def test_the_gradient_is_the_given_one(function, expected):
    assert gradient(function, tf.constant(3.0)) == expected


@pytest.mark.parametrize("function", [times_five, gelu])
def test_a_graph_is_freed_with_its_function(function):
    traced = tf.function(lambda x: function(x))
    assert gradient(traced, tf.constant(3.0)) > 1.0
    graph = weakref.ref(traced.get_concrete_function(tf.TensorSpec([], tf.float32)).graph)
    assert graph() is not None
    del traced
    gc.collect()
    assert graph() is None
