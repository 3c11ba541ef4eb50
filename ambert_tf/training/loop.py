"""The training loop: any objective, any optimizer, over `tf.distribute`."""

import dataclasses
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from ambert_tf.errors import InputError
from ambert_tf.training.checkpoints import Checkpoints
from ambert_tf.training.optimizer import AdamW
from ambert_tf.training.progress import Progress

Batch = Mapping[str, tf.Tensor]
MakeDataset = Callable[[int, tf.distribute.InputContext], tf.data.Dataset]


class Objective(Protocol):
    """What is trained: a model and its loss over a part of a batch.

    A batch is divided over replicas and, with gradient accumulation, over time. So that the parts' losses
    add up to the loss of the whole batch, each is a sum divided by the whole batch's total.
    """

    @property
    def model(self) -> keras.Model:
        """What a checkpoint holds."""

    @property
    def trainable_variables(self) -> Sequence[keras.Variable]:
        """The model's variables."""

    def totals(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Returns the part's share of what means are divided by: float32 scalars by name."""

    def loss(
        self, batch: Batch, totals: Mapping[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Returns a part's share of the loss, and of each metric: float32 scalars that add up over the parts.

        Args:
          batch: the part.
          totals: of the whole batch.
          seed: of the dropout, int32 [2].
        """


@dataclasses.dataclass(frozen=True)
class LoopSettings:
    """How long and in what portions to train.

    Attributes:
      num_train_steps: updates in the whole run.
      save_checkpoints_steps: updates between two checkpoints.
      steps_per_loop: updates in one call of the graph.
      gradient_accumulation_steps: parts that a replica takes its batch in.
      seed: of the dropout.
      use_xla: compile the forward and backward pass.
    """

    num_train_steps: int
    save_checkpoints_steps: int = 1000
    steps_per_loop: int = 1
    gradient_accumulation_steps: int = 1
    seed: int = 0
    use_xla: bool = False


class TrainFunction:
    """The graph of one or several training steps.

    Args:
      strategy: where it runs; its scope holds the objective's and the optimizer's variables.
      objective: what is trained.
      optimizer: what updates.
      settings: of the loop.
    """

    def __init__(
        self, strategy: tf.distribute.Strategy, objective: Objective, optimizer: AdamW, settings: LoopSettings
    ) -> None:
        self.strategy = strategy
        self.objective = objective
        self.optimizer = optimizer
        self.settings = settings
        self.metric_names: list[str] = []
        self._part = (
            tf.function(self._gradients_of_part, jit_compile=True, autograph=False)
            if settings.use_xla
            else self._gradients_of_part
        )
        self._run = tf.function(self._steps, autograph=False)

    def __call__(self, iterator: Any, steps: int) -> dict[str, np.ndarray]:
        """Makes `steps` updates; returns each metric of each of them, float32 [steps]."""
        values = self._run(iterator, tf.constant(steps)).numpy()
        return dict(zip(self.metric_names, values.T, strict=True))

    def _steps(self, iterator: Any, steps: tf.Tensor) -> tf.Tensor:
        def body(index: tf.Tensor, values: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            return index + 1, values.write(index, self._step(iterator.get_next()))

        values = tf.TensorArray(tf.float32, size=steps)
        return tf.while_loop(lambda index, _: index < steps, body, (tf.constant(0), values))[1].stack()

    def _step(self, batch: Any) -> tf.Tensor:
        sums, same = self.strategy.run(self._replica_step, args=(batch,))
        metrics = {
            name: self.strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None) for name, value in sums.items()
        }
        for name, value in same.items():
            metrics[name] = self.strategy.experimental_local_results(value)[0]
        self.metric_names = list(metrics)
        return tf.stack([tf.cast(value, tf.float32) for value in metrics.values()])

    def _replica_step(self, batch: Batch) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """Returns metrics to add up over the replicas, and metrics that are the same on each."""
        context = tf.distribute.get_replica_context()
        seed = dropout_seed(self.settings.seed, self.optimizer.step.read_value(), context.replica_id_in_sync_group)
        totals = self.objective.totals(batch)
        if context.num_replicas_in_sync > 1:
            totals = context.all_reduce(tf.distribute.ReduceOp.SUM, totals)
        if self.settings.gradient_accumulation_steps > 1:
            metrics, gradients = self._accumulate(batch, totals, seed)
        else:
            metrics, gradients = self._part(batch, totals, seed)
        return metrics, self.optimizer.apply_gradients(gradients)

    def _gradients_of_part(
        self, batch: Batch, totals: Mapping[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], list[tf.Tensor | None]]:
        scale = self.optimizer.loss_scale
        with tf.GradientTape() as tape:
            loss, metrics = self.objective.loss(batch, totals, seed)
            scaled = loss if scale is None else loss * scale.scale.read_value()
        return {"loss": loss, **metrics}, tape.gradient(scaled, [v.value for v in self.objective.trainable_variables])

    def _accumulate(
        self, batch: Batch, totals: Mapping[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], list[tf.Tensor | None]]:
        """Adds up the gradients of the batch's parts, one part in memory at a time."""
        parts = self.settings.gradient_accumulation_steps
        rows = tf.shape(next(iter(batch.values())))[0]
        size = (rows + parts - 1) // parts

        def part(index: tf.Tensor) -> tuple[dict[str, tf.Tensor], list[tf.Tensor | None]]:
            rows_of_part = {name: value[index * size : (index + 1) * size] for name, value in batch.items()}
            part_seed = tf.random.experimental.stateless_fold_in(seed, index)
            metrics, gradients = self._part(rows_of_part, totals, part_seed)
            return metrics, [None if g is None else tf.convert_to_tensor(g) for g in gradients]

        metrics, gradients = part(tf.constant(0))
        used = [index for index, gradient in enumerate(gradients) if gradient is not None]

        def body(index: tf.Tensor, metrics: Any, accumulated: Any) -> Any:
            more, gradients = part(index)
            metrics = {name: value + more[name] for name, value in metrics.items()}
            return (
                index + 1,
                metrics,
                [value + gradients[i] for value, i in zip(accumulated, used, strict=True)],
            )

        _, metrics, accumulated = tf.while_loop(
            lambda index, *_: index < parts,
            body,
            (tf.constant(1), metrics, [gradients[index] for index in used]),
        )
        for index, gradient in zip(used, accumulated, strict=True):
            gradients[index] = gradient
        return metrics, gradients


def dropout_seed(seed: int, step: tf.Tensor, replica: tf.Tensor | int) -> tf.Tensor:
    """Returns the seed of one replica's dropout in one step, int32 [2]: a resumed run draws the same again."""
    step_seed = tf.random.experimental.stateless_fold_in(tf.constant([seed, 0]), tf.cast(step, tf.int32))
    return tf.random.experimental.stateless_fold_in(step_seed, replica)


def train(
    strategy: tf.distribute.Strategy,
    objective: Objective,
    optimizer: AdamW,
    make_dataset: MakeDataset,
    settings: LoopSettings,
    checkpoints: Checkpoints | None = None,
    progress: Progress | None = None,
    after_checkpoint: Callable[[int], None] | None = None,
) -> None:
    """Trains from the optimizer's step (0, or where a checkpoint was restored) to the last one.

    SIGTERM ends the run after a checkpoint, with status 143; the same run started again goes on from there.

    Args:
      strategy: where to train.
      objective: what to train.
      optimizer: what updates.
      make_dataset: (number of steps made already, input context) to batches, one a replica, without an end.
      settings: how long.
      checkpoints: where to save, with the last step too; None for nowhere.
      progress: where to report.
      after_checkpoint: called with the step after each checkpoint.

    Raises:
      InputError: a loss or gradient is not finite, or the data end.
      SystemExit: after SIGTERM.
    """
    step = int(optimizer.step.numpy())
    function = TrainFunction(strategy, objective, optimizer, settings)
    start = step
    dataset = strategy.distribute_datasets_from_function(lambda context: make_dataset(start, context))
    iterator = iter(dataset)
    saved = step
    with _termination_noticed() as terminated:
        while step < settings.num_train_steps:
            every = settings.save_checkpoints_steps
            stop = min(settings.num_train_steps, (step // every + 1) * every)
            count = min(settings.steps_per_loop, stop - step)
            try:
                metrics = function(iterator, count)
            except (tf.errors.OutOfRangeError, StopIteration):
                raise InputError(f"the training data end at step {step} of {settings.num_train_steps}") from None
            _check_finite(metrics, step, optimizer)
            step += count
            save = step == stop or terminated.is_set()
            if progress is not None:
                progress.add(step, metrics, flush=save)
            if save and checkpoints is not None:
                checkpoints.save(step)
                saved = step
            if terminated.is_set():
                where = f"; a checkpoint of step {saved} is written" if checkpoints is not None else ""
                raise SystemExit(_terminated_status(f"stopped by SIGTERM at step {step}{where}"))
            if save:
                if after_checkpoint is not None:
                    after_checkpoint(step)
                if progress is not None:
                    progress.restart_clock()


def _check_finite(metrics: Mapping[str, np.ndarray], step: int, optimizer: AdamW) -> None:
    """Stops at a loss or gradient that is not finite, except where float16's loss scale can still go down."""
    scale = optimizer.loss_scale
    if scale is not None and float(scale.scale.numpy()) > scale.MINIMUM:
        return
    for name in ("loss", "gradient_norm"):
        bad = np.flatnonzero(~np.isfinite(metrics[name]))
        if bad.size:
            raise InputError(
                f"step {step + int(bad[0]) + 1}: {name} is {metrics[name][bad[0]]}, not a finite number; the "
                "last checkpoint is from before it: go on from there with a lower --learning_rate or more "
                "--num_warmup_steps"
            )


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
