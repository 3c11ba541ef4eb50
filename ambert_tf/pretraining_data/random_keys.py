"""Stateless random numbers, which do not depend on batch, process or order.

A key is a 64-bit number. `fold(key, number)` derives a new key from it: a run's key gives the keys of its units, a
unit's key those of its sequences, and a sequence's key those of its tokens. The mixing function is the finalizer of
SplitMix64 (Steele, Lea, Flood 2014), over a Weyl sequence.

The NumPy and the TensorFlow functions return identical numbers.
"""

from typing import Any

import numpy as np
import tensorflow as tf

_WEYL = 0x9E3779B97F4A7C15
_MULTIPLIER_1 = 0xBF58476D1CE4E5B9
_MULTIPLIER_2 = 0x94D049BB133111EB


def fold(key: Any, number: Any) -> np.ndarray:
    """Returns keys derived from `key` and `number`, uint64, whose shapes are broadcast."""
    with np.errstate(over="ignore"):
        number = np.asarray(number, np.uint64) * np.uint64(_WEYL) + np.uint64(_WEYL)
        return _mix(np.asarray(key, np.uint64) ^ _mix(number))


def _mix(bits: np.ndarray) -> np.ndarray:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(_MULTIPLIER_1)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(_MULTIPLIER_2)
    return bits ^ (bits >> np.uint64(31))


def seed_key(seed: int) -> np.ndarray:
    """Returns the key of a seed, uint64 scalar. The seed may be negative."""
    return fold(np.uint64(0), np.uint64(seed % 2**64))


def tf_fold(key: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """`fold` in TensorFlow: uint64, shapes are broadcast."""
    weyl = tf.constant(_WEYL, tf.uint64)
    number = tf.cast(number, tf.uint64) * weyl + weyl
    return _tf_mix(tf.bitwise.bitwise_xor(key, _tf_mix(number)))


def _tf_mix(bits: tf.Tensor) -> tf.Tensor:
    bits = _tf_xor_shift(bits, 30) * tf.constant(_MULTIPLIER_1, tf.uint64)
    bits = _tf_xor_shift(bits, 27) * tf.constant(_MULTIPLIER_2, tf.uint64)
    return _tf_xor_shift(bits, 31)


def _tf_xor_shift(bits: tf.Tensor, places: int) -> tf.Tensor:
    return tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, tf.constant(places, tf.uint64)))


def tf_uniform(key: tf.Tensor) -> tf.Tensor:
    """Returns one random float64 in [0, 1) per key."""
    return tf.cast(tf.bitwise.right_shift(key, tf.constant(11, tf.uint64)), tf.float64) * 2.0**-53


def tf_uniform_below(key: tf.Tensor, count: int) -> tf.Tensor:
    """Returns one random int32 in [0, count) per key. `count` is at most 2^31."""
    half = tf.constant(32, tf.uint64)
    scaled = tf.bitwise.right_shift(key, half) * tf.constant(count, tf.uint64)
    return tf.cast(tf.bitwise.right_shift(scaled, half), tf.int32)
