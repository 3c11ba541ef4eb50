"""The training loop, for any objective, optimizer and distribution strategy."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf
from absl import logging

from ambert_tf.errors import InputError
from ambert_tf.training.checkpoints import Checkpoints
from ambert_tf.training.cluster import gather_from_replicas, naming_lost_workers
from ambert_tf.training.optimizer import AdamW
from ambert_tf.training.precision import LossScale
from ambert_tf.training.progress import Progress
from ambert_tf.training.settings import TrainingSettings
from ambert_tf.training.step import STOP_REQUESTS, Objective, TrainFunction

MakeDataset = Callable[[int, tf.distribute.InputContext], tf.data.Dataset]
Metrics = Mapping[str, np.ndarray]

# With this many consecutive skipped steps, the cause is not a single bad batch.
MAX_CONSECUTIVE_SKIPS = 50


def train(
    strategy: tf.distribute.Strategy,
    objective: Objective,
    optimizer: AdamW,
    make_dataset: MakeDataset,
    num_train_steps: int,
    settings: TrainingSettings,
    checkpoints: Checkpoints | None = None,
    progress: Progress | None = None,
    after_checkpoint: Callable[[int], None] | None = None,
    describe_batch: Callable[[int], str] | None = None,
    check_metrics: Callable[[int, Metrics], None] | None = None,
) -> None:
    """Trains from the optimizer's current step (0, or that of the restored checkpoint) to the last step.

    SIGTERM and SIGINT (Ctrl-C) end the run after the current step, with a checkpoint and exit status 128 + signal
    number. The same command then resumes the run. A second Ctrl-C ends the process immediately. If several processes
    train together, it is enough to signal one of them.

    Args:
      strategy: the distribution strategy.
      objective: the objective to train.
      optimizer: the optimizer.
      make_dataset: maps (number of completed steps, input context) to an infinite dataset of batches, one per replica.
      num_train_steps: the last step.
      settings: the program's settings. Without `save_checkpoints_steps`, only the last step is saved.
      checkpoints: where to save checkpoints, including one after the last step. None for no checkpoints.
      progress: where to report metrics.
      after_checkpoint: called with the step after each checkpoint.
      describe_batch: maps the number of completed steps to a description of the next step's records, for error
        messages.
      check_metrics: called with the number of completed steps, and the metrics of the following steps.

    Raises:
      InputError: a loss or gradient is not finite, the data is exhausted, or another worker is lost.
      SystemExit: a signal was received.
    """
    step = int(optimizer.step.numpy())
    function = TrainFunction(strategy, objective, optimizer, settings)
    watch = _NonfiniteWatch(settings.on_nonfinite, describe_batch)
    alone = strategy.cluster_resolver is None
    start = step
    dataset = strategy.distribute_datasets_from_function(lambda context: make_dataset(start, context))
    iterator = iter(dataset)
    with naming_lost_workers(strategy), _StopSignals() as signals:
        while step < num_train_steps:
            every = settings.save_checkpoints_steps or num_train_steps
            stop = min(num_train_steps, (step // every + 1) * every)
            count = min(settings.steps_per_loop, stop - step)
            try:
                metrics = function(iterator, count, signals.received)
            except (tf.errors.OutOfRangeError, StopIteration):
                raise InputError(f"the training data ends at step {step} of {num_train_steps}") from None
            # All workers end at the same step. Those that received no signal are told by the others.
            ending = bool(metrics.pop(STOP_REQUESTS).any()) or (alone and signals.received)
            watch(metrics, step)
            if check_metrics is not None:
                check_metrics(step, metrics)
            step += count
            save = step == stop or ending
            if progress is not None:
                progress.add(step, metrics, flush=save)
            if save and checkpoints is not None:
                checkpoints.save(step)
            if save and not ending:
                if after_checkpoint is not None:
                    after_checkpoint(step)
                if progress is not None:
                    progress.restart_clock()
            # The signal may have arrived during an evaluation or while saving.
            if ending or (save and alone and signals.received):
                saved = f"; saved {checkpoints.path(step)}; run the same command to resume" if checkpoints else ""
                signals.exit(f"stopped at step {step} of {num_train_steps}{saved}")
        if not alone:
            gather_from_replicas(strategy, [step])  # wait until all workers have finished evaluating and saving


class _NonfiniteWatch:
    """Stops at a loss or gradient that is not finite, or warns about it.

    In float16, an overflowing gradient is normal as long as the loss is finite and the loss scale can still decrease.
    """

    def __init__(self, on_nonfinite: str, describe_batch: Callable[[int], str] | None) -> None:
        self._skip = on_nonfinite == "skip"
        self._describe_batch = describe_batch
        self._consecutive = 0

    def __call__(self, metrics: Metrics, step: int) -> None:
        """Checks the metrics of the steps that follow `step`."""
        finite_loss = np.isfinite(metrics["loss"])
        good_steps = finite_loss & np.isfinite(metrics["gradient_norm"])
        if "loss_scale" in metrics:
            good_steps |= finite_loss & (metrics["loss_scale"] > LossScale.MINIMUM)
        for index, good in enumerate(good_steps):
            self._consecutive = 0 if good else self._consecutive + 1
            if not good:
                self._report(metrics, step, index)

    def _report(self, metrics: Metrics, step: int, index: int) -> None:
        name = "gradient_norm" if np.isfinite(metrics["loss"][index]) else "loss"
        fact = f"step {step + index + 1}: {name} is {metrics[name][index]}, not a finite number"
        if self._describe_batch is not None:
            fact += f"; its batch: {self._describe_batch(step + index)}"
        if not self._skip:
            raise InputError(
                f"{fact}; the last checkpoint precedes this step, so resume with a lower --learning_rate, more "
                "--num_warmup_steps, or --on_nonfinite=skip"
            )
        if self._consecutive >= MAX_CONSECUTIVE_SKIPS:
            raise InputError(
                f"{fact}; it was not finite for {self._consecutive} consecutive steps, so --on_nonfinite=skip does not "
                "help"
            )
        logging.warning("%s; this step was skipped", fact)


class _StopSignals:
    """Records SIGTERM and SIGINT instead of ending the process in the middle of a step.

    Python runs signal handlers only between calls into TensorFlow, which may take a minute. Therefore, a thread reads
    the signal numbers from `signal.set_wakeup_fd`. It prints a message at the first one and exits at a second Ctrl-C.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.first: signal.Signals | None = None

    @property
    def received(self) -> bool:
        """Whether a signal was received."""
        return self.first is not None

    def exit(self, message: str) -> NoReturn:
        """Ends the process with the status of the received signal, or of SIGTERM if another worker received it."""
        number = self.first or signal.SIGTERM
        logging.warning("%s: %s", number.name, message)
        raise SystemExit(128 + number)

    def __enter__(self) -> "_StopSignals":
        self._handlers: dict[signal.Signals, Any] = {}
        if threading.current_thread() is not threading.main_thread():
            return self
        reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._thread = threading.Thread(target=self._watch, args=(reader,), daemon=True)
        self._thread.start()
        self._previous = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._handlers = {number: signal.signal(number, self._note) for number in self.SIGNALS}
        return self

    def __exit__(self, *unused: object) -> None:
        if self._handlers:
            signal.set_wakeup_fd(self._previous)
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            self._writer.close()
            self._thread.join()

    def _note(self, number: int, *unused: object) -> None:
        self.first = self.first or signal.Signals(number)

    def _watch(self, reader: socket.socket) -> None:
        interrupts = 0
        with reader:
            while data := reader.recv(1):
                interrupts += data[0] == signal.SIGINT
                if interrupts > 1:
                    os._exit(128 + signal.SIGINT)
                if data[0] == signal.SIGINT:
                    print("\nstopping after this step; press Ctrl-C again to quit now", file=sys.stderr, flush=True)
