"""BERT's basic layers: dense, layer normalization, dropout and activation functions.

Keras has the same layers. The docstring of `encoder.py` states how much faster an encoder of these is.
"""

import math
import zlib
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from ambert_tf.models.gradients import custom_gradient

# Arguments of `add_weight` for a variable that is stored and read in float32 under any dtype policy.
FLOAT32: dict[str, Any] = {"dtype": "float32", "autocast": False}


def variable_seed(seed: int, path: str) -> int:
    """Returns the seed of a variable's initializer, which depends on its path but not on the order of creation."""
    return zlib.crc32(f"{seed}/{path}".encode())


def normal_initializer(stddev: float, seed: int, path: str) -> keras.initializers.Initializer:
    """Returns BERT's truncated normal initializer for the variable at `path`."""
    return keras.initializers.TruncatedNormal(stddev=stddev, seed=variable_seed(seed, path))


class Dense(keras.layers.Dense):
    """`keras.layers.Dense` on `[tokens, input_dim]`. LoRA and int8 quantization work as in Keras.

    `call` uses `bias_add`, which TensorFlow fuses with the matrix product on a CPU. Keras adds the bias in a separate
    op.

    Args:
      input_dim: size of the input.
      units: size of the output.
      initializer_range: standard deviation of the initial kernel.
      seed: seed of the initial kernel.
    """

    def __init__(
        self, input_dim: int, units: int, initializer_range: float = 0.02, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(units, **kwargs)
        self.input_dim = input_dim
        self.initializer_range = initializer_range
        self.seed = seed

    def build(self, input_shape: object = None) -> None:
        self.kernel_initializer = normal_initializer(self.initializer_range, self.seed, f"{self.path}/kernel")
        super().build((None, self.input_dim))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.bias_add(tf.matmul(x, self.kernel), self.bias)

    def enable_lora(self, *args: Any, **kwargs: Any) -> None:
        super().enable_lora(*args, **kwargs)
        # Without this, the bias would train, but KerasHub's `save_lora_weights` saves the kernel's update only.
        self.bias.trainable = False

    def quantize(self, mode: str, type_check: bool = True, config: Any = None) -> None:
        del type_check  # Keras rejects subclasses of Dense, but this one computes the same function
        super().quantize(mode, type_check=False, config=config)


class LayerNormalization(keras.layers.Layer):
    """Layer normalization over the last axis, computed in float32 under any dtype policy."""

    def __init__(self, size: int, epsilon: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size
        self.epsilon = epsilon

    def build(self, input_shape: object = None) -> None:
        self.gamma = self.add_weight(name="gamma", shape=(self.size,), initializer="ones", **FLOAT32)
        self.beta = self.add_weight(name="beta", shape=(self.size,), initializer="zeros", **FLOAT32)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        x = tf.cast(x, tf.float32)
        return tf.cast(layer_normalization(x, self.gamma, self.beta, self.epsilon), self.compute_dtype)


def layer_normalization(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Normalizes `x` over the last axis to mean `beta` and standard deviation `gamma`."""
    mean = tf.reduce_mean(x, axis=-1, keepdims=True)
    centred = x - mean
    variance = tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True)
    return centred * (tf.math.rsqrt(variance + epsilon) * gamma) + beta


def dropout_seed(training: bool, seed: tf.Tensor | None) -> tf.Tensor | None:
    """Returns the dropout seed of a call: None outside training, and a random one if `seed` is None."""
    if not training:
        return None
    return tf.random.uniform([2], minval=0, maxval=tf.int32.max, dtype=tf.int32) if seed is None else seed


def dropout(x: tf.Tensor, rate: float, seed: tf.Tensor | None, site: int) -> tf.Tensor:
    """Sets a fraction `rate` of the elements to zero and scales up the others.

    Args:
      x: tensor of any shape.
      rate: the fraction. If it is 0, `x` is returned unchanged.
      seed: int32 [2], or None for no dropout. The same seed and site drop the same elements.
      site: number of the call site in the network. Different sites drop different elements.
    """
    if seed is None or not rate:
        return x
    seed = tf.random.experimental.stateless_fold_in(seed, site)
    # 16 random bits per element are precise enough and take half the time of random floats.
    count = tf.size(x)
    words = tf.random.stateless_uniform([(count + 1) // 2], seed, None, None, tf.int32, alg="philox")
    bits = tf.reshape(tf.bitcast(words, tf.int16), [-1])[:count]
    kept = tf.reshape(bits >= tf.constant(round(rate * 2**16) - 2**15, tf.int16), tf.shape(x))
    return x * (tf.cast(kept, x.dtype) * tf.constant(1 / (1 - rate), x.dtype))


@custom_gradient
def gelu(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Returns `x * Φ(x)`, like `tf.nn.gelu(x)`, with half as many passes over the data."""
    # In float32 even if x is bfloat16, because these functions are faster in float32 on a CPU.
    distribution = 0.5 + 0.5 * tf.math.erf(tf.cast(x, tf.float32) * (0.5**0.5))

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        wide = tf.cast(x, tf.float32)
        density = tf.exp(-0.5 * tf.square(wide) - 0.5 * math.log(2 * math.pi))
        return upstream * tf.cast(distribution + wide * density, x.dtype)

    return x * tf.cast(distribution, x.dtype), gradient


def activation_function(name: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the function that `hidden_act` names. `gelu` is exact, and `gelu_new` is its tanh approximation."""
    if name == "gelu":
        return gelu
    if name == "gelu_new":
        return lambda x: tf.nn.gelu(x, approximate=True)
    return tf.nn.relu
