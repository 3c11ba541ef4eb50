"""The workers of `TF_CONFIG`: addresses, consistency checks, and errors about lost workers."""

import dataclasses
import json
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from ambert_tf.errors import InputError, one_line
from ambert_tf.files import parse_json

_EXAMPLE = '{"cluster": {"worker": ["host0:12345", "host1:12345"]}, "task": {"type": "worker", "index": 0}}'
# Errors of a collective operation if another process has ended or does not respond.
_PEER_ERRORS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
)


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The processes that train together.

    Attributes:
      addresses: `host:port` of each process, the chief first.
      index: index of this process.
    """

    addresses: tuple[str, ...]
    index: int


def cluster_of_environment() -> Cluster | None:
    """Returns the cluster of `TF_CONFIG`, or None if it is not set or has only one process.

    Raises:
      InputError: `TF_CONFIG` does not describe a cluster of workers.
    """
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        return None
    try:
        content = parse_json(text)
        jobs = {job: list(addresses) for job, addresses in content.get("cluster", {}).items()}
        task = content.get("task", {})
        job, index = task.get("type", "worker"), int(task.get("index", 0))
    except (ValueError, AttributeError, TypeError):
        raise InputError(f"TF_CONFIG: is not JSON such as {_EXAMPLE}") from None
    strange = sorted(set(jobs) - {"chief", "worker"})
    if strange:
        raise InputError(f"TF_CONFIG: has a job {strange[0]!r}; all processes must belong to the job 'worker'")
    if len(jobs.get("chief", [])) > 1:
        raise InputError("TF_CONFIG: has more than one chief; the job 'chief' is optional and has one process")
    addresses = jobs.get("chief", []) + jobs.get("worker", [])
    if len(addresses) < 2:
        return None
    for address in addresses:
        host, _, port = str(address).rpartition(":")
        if not host or not port.isdigit():
            raise InputError(f"TF_CONFIG: {address!r} is not an address such as host0:12345")
        if addresses.count(address) > 1:
            raise InputError(f"TF_CONFIG: {address} is listed twice; each process needs its own address")
    if not 0 <= index < len(jobs.get(job, [])):
        raise InputError(
            f"TF_CONFIG: its task is {job} {index}, but the job {job!r} has {len(jobs.get(job, []))} processes"
        )
    return Cluster(tuple(addresses), index + (len(jobs.get("chief", [])) if job == "worker" else 0))


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process writes files, because it is the first worker or the only process."""
    resolver = strategy.cluster_resolver
    return resolver is None or not resolver.task_type or _place(resolver) == 0


def _place(resolver: Any) -> int:
    chiefs = resolver.cluster_spec().as_dict().get("chief", [])
    return resolver.task_id + (len(chiefs) if resolver.task_type == "worker" else 0)


def check_workers_agree(strategy: tf.distribute.Strategy, settings: Any, step: int) -> None:
    """Checks that all workers have the same flags and step. All of them must call this function.

    Args:
      strategy: the distribution strategy.
      settings: the flags, a dataclass.
      step: the step from which this worker resumes.

    Raises:
      InputError: a worker differs. It is raised on all workers.
    """
    values = json.dumps(dataclasses.asdict(settings), sort_keys=True)
    digest = zlib.crc32(values.encode()) % 2**24  # an integer that float32 represents exactly
    rows = gather_from_replicas(strategy, [step, digest])
    for replica, (their_step, their_digest) in enumerate(rows.tolist()):
        if their_digest != rows[0, 1]:
            raise InputError(
                f"replica {replica} of {len(rows)} was started with different flags than the first; run the same "
                "command on all workers"
            )
        if their_step != rows[0, 0]:
            raise InputError(
                f"--output_dir: replica {replica} of {len(rows)} resumes at step {int(their_step)}, the first at "
                f"{int(rows[0, 0])}; it must be a directory that all workers share"
            )


def gather_from_replicas(strategy: tf.distribute.Strategy, values: list[float]) -> np.ndarray:
    """Returns the values of each replica, float32 [replicas, values]. Blocks until all processes have called it."""
    replicas = strategy.num_replicas_in_sync

    def gather() -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        own = tf.one_hot(context.replica_id_in_sync_group, replicas)[:, tf.newaxis] * tf.constant([values], tf.float32)
        return context.all_reduce(tf.distribute.ReduceOp.SUM, own)

    # The values are constants of a graph that runs once; calling the tf.function would warn about retracing.
    result = tf.function(lambda: strategy.run(gather), autograph=False).get_concrete_function()()
    return strategy.experimental_local_results(result)[0].numpy()


@contextmanager
def naming_lost_workers(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Context manager for training that converts TensorFlow's errors about a lost worker to an `InputError`."""
    try:
        yield
    except _PEER_ERRORS as error:
        if strategy.cluster_resolver is None:
            raise
        reason = re.search(r"aborted by: (.*?)( Additional|$)", one_line(error))
        raise InputError(
            "a worker of TF_CONFIG has ended or does not respond"
            + (f" ({reason.group(1)[:200]})" if reason else "")
            + "; restart all workers to resume from the last checkpoint"
        ) from None
