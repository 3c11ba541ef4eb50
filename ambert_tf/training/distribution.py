"""On which devices training runs."""

import json
import os

import tensorflow as tf

from ambert_tf.errors import InputError


def make_strategy(num_replicas: int | None = None) -> tf.distribute.Strategy:
    """Returns the strategy for this machine.

    - `TF_CONFIG` with more than one worker: MultiWorkerMirroredStrategy.
    - GPUs: MirroredStrategy over all of them, or over the first `num_replicas`.
    - no GPU and `num_replicas` above 1: MirroredStrategy over that many logical CPU devices.
    - otherwise the default strategy, one device.

    Call it before anything else of TensorFlow runs: logical devices and workers' collectives can only be
    set up then.

    Raises:
      InputError: there are not as many devices as asked for, or `TF_CONFIG` is no JSON.
    """
    if num_replicas is not None and num_replicas < 1:
        raise InputError(f"--num_replicas={num_replicas}: must be at least 1")
    if _number_of_workers() > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    gpus = len(tf.config.list_physical_devices("GPU"))
    if gpus:
        if (num_replicas or 1) > gpus:
            raise InputError(f"--num_replicas={num_replicas}: this host has {gpus} GPUs")
        devices = [f"GPU:{index}" for index in range(num_replicas or gpus)]
        return tf.distribute.MirroredStrategy(devices) if len(devices) > 1 else tf.distribute.get_strategy()
    if num_replicas is None or num_replicas == 1:
        return tf.distribute.get_strategy()
    _make_logical_cpus(num_replicas)
    return tf.distribute.MirroredStrategy(
        [f"CPU:{index}" for index in range(num_replicas)],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )


def _number_of_workers() -> int:
    content = os.environ.get("TF_CONFIG", "")
    if not content:
        return 1
    try:
        cluster = json.loads(content).get("cluster", {})
    except (json.JSONDecodeError, AttributeError):
        raise InputError("TF_CONFIG: is no JSON object such as {'cluster': {'worker': ['host:port', …]}, …}") from None
    return sum(len(cluster.get(kind, [])) for kind in ("chief", "worker"))


def _make_logical_cpus(number: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    configured = tf.config.get_logical_device_configuration(cpu)
    if configured is not None and len(configured) >= number:
        return
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * number)
    except RuntimeError:
        raise InputError(
            f"--num_replicas={number}: TensorFlow has started already, with fewer logical CPU devices"
        ) from None
