"""Measures the FLOP/s of matrix products on the devices, the denominator of MFU."""

import time

import tensorflow as tf

_COMPUTE_TYPES = {"float32": tf.float32, "bfloat16": tf.bfloat16, "float16": tf.float16}
_SMALLEST, _LARGEST = 256, 8192
_LONG_ENOUGH_SECONDS = 0.01
_TRIES = 3
_SECONDS_BETWEEN_MEASUREMENTS = 60

# The highest FLOP/s of this process by precision, and the time of the last measurement.
_peaks: dict[str, tuple[float, float]] = {}


def matrix_peak(precision: str) -> float:
    """Returns the FLOP/s of a large square matrix product on the default device: the maximum in this process.

    It is measured again at most once per minute, because other programs may use the machine during a measurement. This
    takes a fraction of a second.

    Args:
      precision: a key of `precision.POLICIES`.
    """
    highest, measured = _peaks.get(precision, (0.0, float("-inf")))
    if time.monotonic() - measured >= _SECONDS_BETWEEN_MEASUREMENTS:
        highest = max(highest, _measured(precision))
        _peaks[precision] = highest, time.monotonic()
    return highest


def _measured(precision: str) -> float:
    """Returns the FLOP/s of a product of matrices that are large enough to be timed."""
    size = _SMALLEST
    while True:
        seconds = _seconds(size, _COMPUTE_TYPES[precision])
        if seconds > _LONG_ENOUGH_SECONDS or size == _LARGEST:
            return 2.0 * size**3 / seconds
        size *= 2


def _seconds(size: int, dtype: tf.DType) -> float:
    """Returns the shortest time of several products, excluding the first one, which includes initialization."""
    one, other = (tf.cast(tf.random.stateless_uniform([size, size], [seed, 0]), dtype) for seed in (1, 2))
    best = float("inf")
    for attempt in range(_TRIES + 1):
        start = time.perf_counter()
        product = tf.matmul(one, other)
        product[0, 0].numpy()  # wait for the device
        seconds = time.perf_counter() - start
        if attempt:
            best = min(best, seconds)
    return best


def peak_of(strategy: tf.distribute.Strategy, precision: str) -> float:
    """Returns the FLOP/s of all devices of a strategy: all GPUs, or one CPU per process."""
    resolver = strategy.cluster_resolver
    workers = 1 if resolver is None else sum(map(len, resolver.cluster_spec().as_dict().values()))
    # Logical CPU devices share one CPU.
    devices = strategy.num_replicas_in_sync if tf.config.list_physical_devices("GPU") else workers
    return devices * matrix_peak(precision)
