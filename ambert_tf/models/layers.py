"""The small layers that a BERT consists of: dense, layer normalisation, dropout, activation."""

import math
import zlib
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


def variable_seed(seed: int, path: str) -> int:
    """Returns the seed of one variable's initial values, by its name: the order of creation is free."""
    return zlib.crc32(f"{seed}/{path}".encode())


class SeededLayer(keras.layers.Layer):
    """A layer whose variables start from BERT's truncated normal distribution, or from zeros or ones.

    Args:
      initializer_range: standard deviation of the initial values.
      seed: seed of the initial values.
    """

    def __init__(self, initializer_range: float = 0.02, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.initializer_range = initializer_range
        self.seed = seed

    def add_normal_weight(self, name: str, shape: tuple[int, ...], autocast: bool = True) -> keras.Variable:
        """Adds a variable of truncated normal values."""
        seed = variable_seed(self.seed, f"{self.path}/{name}")
        initializer = keras.initializers.TruncatedNormal(stddev=self.initializer_range, seed=seed)
        return self.add_weight(name=name, shape=shape, initializer=initializer, autocast=autocast)


class Dense(SeededLayer):
    """A matrix product and a bias on `[tokens, inputs]`."""

    def __init__(self, inputs: int, outputs: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inputs = inputs
        self.outputs = outputs

    def build(self, input_shape: object = None) -> None:
        self.kernel = self.add_normal_weight("kernel", (self.inputs, self.outputs))
        self.bias = self.add_weight(name="bias", shape=(self.outputs,), initializer="zeros")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.bias_add(tf.matmul(x, self.kernel), self.bias)


class LayerNormalization(keras.layers.Layer):
    """Layer normalisation over the last axis, computed in float32 whatever the precision is."""

    def __init__(self, size: int, epsilon: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size
        self.epsilon = epsilon

    def build(self, input_shape: object = None) -> None:
        self.gamma = self.add_weight(name="gamma", shape=(self.size,), initializer="ones", autocast=False)
        self.beta = self.add_weight(name="beta", shape=(self.size,), initializer="zeros", autocast=False)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        x = tf.cast(x, tf.float32)
        return tf.cast(layer_normalization(x, self.gamma, self.beta, self.epsilon), self.compute_dtype)


def layer_normalization(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Returns `x` with mean `beta` and deviation `gamma` over the last axis; `epsilon` is added to the variance."""
    mean = tf.reduce_mean(x, axis=-1, keepdims=True)
    centred = x - mean
    variance = tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True)
    return centred * (tf.math.rsqrt(variance + epsilon) * gamma) + beta


def dropout(x: tf.Tensor, rate: float, seed: tf.Tensor | None, site: int) -> tf.Tensor:
    """Sets a share `rate` of the elements to zero and scales the others up.

    Args:
      x: any shape.
      rate: the share; nothing happens at 0.
      seed: int32 [2], or None for no dropout; the same seed and site give the same elements.
      site: number of the place in the network, so that places differ.
    """
    if seed is None or not rate:
        return x
    seed = tf.random.experimental.stateless_fold_in(seed, site)
    # 16 random bits an element are enough for the rate, and take half the time of a float each.
    count = tf.size(x)
    words = tf.random.stateless_uniform([(count + 1) // 2], seed, None, None, tf.int32, alg="philox")
    bits = tf.reshape(tf.bitcast(words, tf.int16), [-1])[:count]
    kept = tf.reshape(bits >= tf.constant(round(rate * 2**16) - 2**15, tf.int16), tf.shape(x))
    return x * (tf.cast(kept, x.dtype) * tf.constant(1 / (1 - rate), x.dtype))


@tf.custom_gradient
def gelu(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Returns `x * Φ(x)`, Φ the normal distribution's: `tf.nn.gelu(x)`, with half as many passes over the data."""
    # In float32 also where x is bfloat16: a CPU computes these functions faster so.
    distribution = 0.5 + 0.5 * tf.math.erf(tf.cast(x, tf.float32) * (0.5**0.5))

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        wide = tf.cast(x, tf.float32)
        density = tf.exp(-0.5 * tf.square(wide) - 0.5 * math.log(2 * math.pi))
        return upstream * tf.cast(distribution + wide * density, x.dtype)

    return x * tf.cast(distribution, x.dtype), gradient


def activation_function(name: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the function that `hidden_act` names; `gelu` is exact (by erf), `gelu_new` is its tanh form."""
    if name == "gelu":
        return gelu
    if name == "gelu_new":
        return lambda x: tf.nn.gelu(x, approximate=True)
    return tf.nn.relu
