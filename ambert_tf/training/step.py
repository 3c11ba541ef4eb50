"""One training step as a graph: gradients of the replicas' parts of a batch, and an update."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from ambert_tf.training.optimizer import AdamW

Batch = Mapping[str, tf.Tensor]
STOP_REQUESTS = "stop_requests"


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
      on_nonfinite: `stop`, or `skip` to go on without the update whose loss or gradient is not finite.
    """

    num_train_steps: int
    save_checkpoints_steps: int = 1000
    steps_per_loop: int = 1
    gradient_accumulation_steps: int = 1
    seed: int = 0
    use_xla: bool = False
    on_nonfinite: str = "stop"


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

    def __call__(self, iterator: Any, steps: int, stop: bool = False) -> dict[str, np.ndarray]:
        """Makes `steps` updates.

        Args:
          iterator: of distributed batches.
          steps: how many.
          stop: this process was asked to stop.

        Returns:
          Each metric of each update, float32 [steps]; `STOP_REQUESTS` is how many replicas were asked to stop: of
          several processes all see the same number.
        """
        values = self._run(iterator, tf.constant(steps), tf.constant(float(stop))).numpy()
        return dict(zip(self.metric_names, values.T, strict=True))

    def _steps(self, iterator: Any, steps: tf.Tensor, stop: tf.Tensor) -> tf.Tensor:
        def body(index: tf.Tensor, values: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            return index + 1, values.write(index, self._step(iterator.get_next(), stop))

        values = tf.TensorArray(tf.float32, size=steps)
        return tf.while_loop(lambda index, _: index < steps, body, (tf.constant(0), values))[1].stack()

    def _step(self, batch: Any, stop: tf.Tensor) -> tf.Tensor:
        sums, same = self.strategy.run(self._replica_step, args=(batch, stop))
        # One sum of a vector: between processes each one takes a round of messages.
        total = self.strategy.reduce(tf.distribute.ReduceOp.SUM, sums, axis=None)
        return tf.concat([total, self.strategy.experimental_local_results(same)[0]], axis=0)

    def _replica_step(self, batch: Batch, stop: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns metrics to add up over the replicas, and metrics that are the same on each; float32 vectors."""
        context = tf.distribute.get_replica_context()
        seed = dropout_seed(self.settings.seed, self.optimizer.step.read_value(), context.replica_id_in_sync_group)
        totals = self.objective.totals(batch)
        if context.num_replicas_in_sync > 1:
            totals = context.all_reduce(tf.distribute.ReduceOp.SUM, totals)
        if self.settings.gradient_accumulation_steps > 1:
            sums, gradients = self._accumulate(batch, totals, seed)
        else:
            sums, gradients = self._part(batch, totals, seed)
        same = self.optimizer.apply_gradients(gradients, sums["loss"])
        sums = {**sums, STOP_REQUESTS: stop}
        self.metric_names = [*sums, *same]
        sums_vector, same_vector = (
            tf.stack([tf.cast(value, tf.float32) for value in metrics.values()]) for metrics in (sums, same)
        )
        return sums_vector, same_vector

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
