"""The training loop: any objective, any optimizer, over `tf.distribute`."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import tensorflow as tf
from absl import logging

from ambert_tf.errors import InputError
from ambert_tf.training.checkpoints import Checkpoints
from ambert_tf.training.cluster import gather_from_replicas, naming_lost_workers
from ambert_tf.training.optimizer import AdamW
from ambert_tf.training.precision import LossScale
from ambert_tf.training.progress import Progress
from ambert_tf.training.step import STOP_REQUESTS, Batch, LoopSettings, Objective, TrainFunction, dropout_seed

__all__ = ["Batch", "LoopSettings", "MakeDataset", "Objective", "TrainFunction", "dropout_seed", "train"]

MakeDataset = Callable[[int, tf.distribute.InputContext], tf.data.Dataset]

# So many updates in a row that are left out are no accident of the data.
SKIPPED_IN_A_ROW = 50


def train(
    strategy: tf.distribute.Strategy,
    objective: Objective,
    optimizer: AdamW,
    make_dataset: MakeDataset,
    settings: LoopSettings,
    checkpoints: Checkpoints | None = None,
    progress: Progress | None = None,
    after_checkpoint: Callable[[int], None] | None = None,
    describe_batch: Callable[[int], str] | None = None,
) -> None:
    """Trains from the optimizer's step (0, or where a checkpoint was restored) to the last one.

    SIGTERM ends the run after a checkpoint, with status 143; the same run started again goes on from there. Where
    several processes train together, one that gets it is enough.

    Args:
      strategy: where to train.
      objective: what to train.
      optimizer: what updates.
      make_dataset: (number of steps made already, input context) to batches, one a replica, without an end.
      settings: how long.
      checkpoints: where to save, with the last step too; None for nowhere.
      progress: where to report.
      after_checkpoint: called with the step after each checkpoint.
      describe_batch: (number of steps made before) to the records of a step, for the message about a loss that is
        not finite.

    Raises:
      InputError: a loss or gradient is not finite, the data end, or another worker is lost.
      SystemExit: after SIGTERM.
    """
    step = int(optimizer.step.numpy())
    function = TrainFunction(strategy, objective, optimizer, settings)
    watch = _NonfiniteWatch(settings.on_nonfinite, describe_batch)
    alone = strategy.cluster_resolver is None
    start = step
    dataset = strategy.distribute_datasets_from_function(lambda context: make_dataset(start, context))
    iterator = iter(dataset)
    with naming_lost_workers(strategy), _termination_noticed() as terminated:
        while step < settings.num_train_steps:
            every = settings.save_checkpoints_steps
            stop = min(settings.num_train_steps, (step // every + 1) * every)
            count = min(settings.steps_per_loop, stop - step)
            try:
                metrics = function(iterator, count, terminated.is_set())
            except (tf.errors.OutOfRangeError, StopIteration):
                raise InputError(f"the training data end at step {step} of {settings.num_train_steps}") from None
            # Workers end at the same step: one that has not been told yet learns it from the others.
            ending = bool(metrics.pop(STOP_REQUESTS).any()) or (alone and terminated.is_set())
            watch(metrics, step)
            step += count
            save = step == stop or ending
            if progress is not None:
                progress.add(step, metrics, flush=save)
            if save and checkpoints is not None:
                checkpoints.save(step)
            if ending:
                where = f"; a checkpoint of step {step} is written" if checkpoints is not None else ""
                raise SystemExit(_terminated_status(f"stopped by SIGTERM at step {step}{where}"))
            if save:
                if after_checkpoint is not None:
                    after_checkpoint(step)
                if progress is not None:
                    progress.restart_clock()
        if not alone:
            gather_from_replicas(strategy, [step])  # nobody leaves while others still evaluate or save


class _NonfiniteWatch:
    """Stops at a loss or gradient that is not finite, or tells of it and goes on.

    Where the loss is finite and float16's loss scale can still go down, such a gradient is part of the course.
    """

    def __init__(self, on_nonfinite: str, describe_batch: Callable[[int], str] | None) -> None:
        self._skip = on_nonfinite == "skip"
        self._describe_batch = describe_batch
        self._in_a_row = 0

    def __call__(self, metrics: Mapping[str, np.ndarray], step: int) -> None:
        """Looks at the metrics of the steps after `step`."""
        finite_loss = np.isfinite(metrics["loss"])
        good_steps = finite_loss & np.isfinite(metrics["gradient_norm"])
        if "loss_scale" in metrics:
            good_steps |= finite_loss & (metrics["loss_scale"] > LossScale.MINIMUM)
        for index, good in enumerate(good_steps):
            self._in_a_row = 0 if good else self._in_a_row + 1
            if not good:
                self._tell(metrics, step, index)

    def _tell(self, metrics: Mapping[str, np.ndarray], step: int, index: int) -> None:
        name = "gradient_norm" if np.isfinite(metrics["loss"][index]) else "loss"
        fact = f"step {step + index + 1}: {name} is {metrics[name][index]}, not a finite number"
        if self._describe_batch is not None:
            fact += f"; its batch: {self._describe_batch(step + index)}"
        if not self._skip:
            raise InputError(
                f"{fact}; the last checkpoint is from before it: go on from there with a lower --learning_rate, more "
                "--num_warmup_steps, or --on_nonfinite=skip"
            )
        if self._in_a_row >= SKIPPED_IN_A_ROW:
            raise InputError(f"{fact}; so it was {self._in_a_row} times in a row: --on_nonfinite=skip does not help")
        logging.warning("%s; this update is left out", fact)


def _terminated_status(message: str) -> int:
    logging.warning("%s", message)
    return 128 + signal.SIGTERM


@contextmanager
def _termination_noticed() -> Iterator[threading.Event]:
    """Yields an event that SIGTERM sets, instead of ending the process in the middle of a step."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    previous = signal.signal(signal.SIGTERM, lambda *_: event.set())
    try:
        yield event
    finally:
        signal.signal(signal.SIGTERM, previous)
