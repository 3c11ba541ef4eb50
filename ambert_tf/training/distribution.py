"""The distribution strategy: the devices that training runs on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf
from absl import logging

from ambert_tf.errors import InputError, one_line
from ambert_tf.training.cluster import Cluster, cluster_of_environment

START_TIMEOUT_SECONDS = 600.0  # until all workers have started

_WATCH = """
import os, select, signal, sys
if not select.select([sys.stdin], [], [], float(sys.argv[1]))[0]:
    print(sys.argv[3], file=sys.stderr, flush=True)
    os.kill(int(sys.argv[2]), signal.SIGKILL)
"""


def make_strategy(num_replicas: int | None = None) -> tf.distribute.Strategy:
    """Returns the strategy for this machine.

    - `TF_CONFIG` with more than one worker: MultiWorkerMirroredStrategy.
    - GPUs: MirroredStrategy on all of them, or on the first `num_replicas`.
    - No GPU, and `num_replicas` above 1: MirroredStrategy on that many logical CPU devices.
    - Otherwise: the default strategy, on one device.

    Call it before any other TensorFlow operation, because logical devices and collectives cannot be set up later.

    Raises:
      InputError: there are fewer devices than requested, `TF_CONFIG` is invalid, or a worker cannot be reached.
    """
    if num_replicas is not None and num_replicas < 1:
        raise InputError(f"--num_replicas={num_replicas}: must be at least 1")
    cluster = cluster_of_environment()
    if cluster is not None:
        return _workers_strategy(cluster, num_replicas)
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


def _workers_strategy(cluster: Cluster, num_replicas: int | None) -> tf.distribute.Strategy:
    """Starts this worker's server and waits for the other workers."""
    if num_replicas is not None:
        raise InputError(f"--num_replicas={num_replicas}: a worker of TF_CONFIG uses all of its GPUs; omit this flag")
    own = cluster.addresses[cluster.index]
    logging.info("worker %d of %d, %s: waiting for the others", cluster.index, len(cluster.addresses), own)
    addresses = ", ".join(cluster.addresses)
    message = (
        f"error: TF_CONFIG: not all of the {len(cluster.addresses)} workers ({addresses}) started within "
        f"{START_TIMEOUT_SECONDS:g} s"
    )
    try:
        with ended_after(START_TIMEOUT_SECONDS, os.getpid(), message):
            return tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        raise InputError(
            f"TF_CONFIG: this worker's server cannot start at {own}, or another worker cannot be reached: "
            f"{one_line(error)[:200]}"
        ) from None


@contextmanager
def ended_after(seconds: float, pid: int, message: str) -> Iterator[None]:
    """Context manager that kills a process, after a message on stderr, if its body exceeds a time limit.

    A separate process measures the time, because no Python thread or signal handler runs while TensorFlow waits for
    other workers.
    """
    command = [sys.executable, "-S", "-c", _WATCH, str(seconds), str(pid), message]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as watcher:
        try:
            yield
        finally:
            assert watcher.stdin is not None
            watcher.stdin.close()  # stops the watcher, as does the end of this process


def _make_logical_cpus(number: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    configured = tf.config.get_logical_device_configuration(cpu)
    if configured is not None and len(configured) >= number:
        return
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * number)
    except RuntimeError:
        raise InputError(
            f"--num_replicas={number}: TensorFlow was already initialized with fewer logical CPU devices"
        ) from None
