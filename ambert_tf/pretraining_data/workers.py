"""Runs tasks in worker processes or in the current process."""

import concurrent.futures
import multiprocessing
import multiprocessing.connection
import multiprocessing.resource_tracker
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from ambert_tf.errors import InputError
from ambert_tf.startup import import_keras_alone

# Queued tasks per worker, enough to keep it busy and few enough to bound memory.
_WAITING_TASKS = 2

Runner = Callable[[Callable[..., Any], Iterable[tuple[Any, ...]]], Iterator[Any]]


@contextmanager
def task_runner(num_workers: int, start: Callable[..., None], start_arguments: tuple[Any, ...]) -> Iterator[Runner]:
    """Context manager that returns a function to run tasks, which yields their results as they complete.

    Args:
      num_workers: number of processes. 1 runs everything in the current process.
      start: called first in each process, with `start_arguments`.
      start_arguments: picklable arguments of `start`.
    """
    if num_workers == 1:
        start(*start_arguments)
        yield _run_here
        return
    # As bytes, because unpickling the function imports its module, and with it TensorFlow.
    pickled = pickle.dumps((start, start_arguments))
    pool = concurrent.futures.ProcessPoolExecutor(
        num_workers, multiprocessing.get_context("spawn"), _start_worker, (pickled,)
    )
    # Starting it later, while signals are blocked, would unblock them.
    multiprocessing.resource_tracker.ensure_running()
    try:
        yield lambda function, tasks: _run_in_pool(pool, num_workers, function, tasks)
    except BrokenProcessPool:
        raise InputError(
            "a worker process was killed, most likely because memory ran out; use a smaller --num_workers"
        ) from None
    except BaseException:
        # Their results are no longer needed, and merely starting takes seconds.
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Context manager that blocks SIGINT, permanently in processes started within it.

    Ctrl-C is sent to all processes of a terminal, but only the main process should report it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run_here(function: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
    for arguments in tasks:
        yield function(*arguments)


def _run_in_pool(
    pool: concurrent.futures.Executor,
    num_workers: int,
    function: Callable[..., Any],
    tasks: Iterable[tuple[Any, ...]],
) -> Iterator[Any]:
    waiting: set[concurrent.futures.Future[Any]] = set()
    for arguments in tasks:
        with _interrupts_blocked():  # this may start a process
            waiting.add(pool.submit(function, *arguments))
        if len(waiting) >= (1 + _WAITING_TASKS) * num_workers:
            done, waiting = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                yield future.result()
    for future in concurrent.futures.as_completed(waiting):
        yield future.result()


def _start_worker(pickled: bytes) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import_keras_alone()
    # Use a single core per worker, because there are as many workers as cores.
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    start, start_arguments = pickle.loads(pickled)
    start(*start_arguments)


def _end_with_parent() -> None:
    # Otherwise, a worker whose parent was killed would wait for its next task forever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
