"""The graph of a training step: the gradients of a distributed, possibly accumulated batch, and the optimizer."""

from collections.abc import Mapping
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from ambert_tf.training.optimizer import AdamW
from ambert_tf.training.settings import TrainingSettings

Batch = Mapping[str, tf.Tensor]
STOP_REQUESTS = "stop_requests"


class Objective(Protocol):
    """A model and its loss on part of a batch.

    A batch is split across replicas and, with gradient accumulation, over time. The loss of a part is normalized by the
    total of the whole batch, so the losses of all parts add up to the loss of the batch.
    """

    @property
    def model(self) -> keras.Model:
        """The model to save in checkpoints."""

    def totals(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Returns the part's share of the normalizers, float32 scalars by name."""

    def loss(
        self, batch: Batch, totals: Mapping[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Returns the part's share of the loss and of each metric, float32 scalars to be summed over the parts.

        Args:
          batch: the part of the batch.
          totals: `totals` summed over the whole batch.
          seed: dropout seed, int32 [2].
        """


class TrainFunction:
    """The graph of one or several training steps.

    Args:
      strategy: the distribution strategy, in whose scope the objective and the optimizer were created.
      objective: the objective to train.
      optimizer: the optimizer.
      settings: `gradient_accumulation_steps`, `use_xla` and `random_seed` are used.
    """

    def __init__(
        self, strategy: tf.distribute.Strategy, objective: Objective, optimizer: AdamW, settings: TrainingSettings
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
        """Runs `steps` training steps.

        Args:
          iterator: iterator over distributed batches.
          steps: number of steps.
          stop: whether this process was asked to stop.

        Returns:
          The metrics of all steps, each float32 [steps]. `STOP_REQUESTS` is the number of replicas that were asked to
          stop, which is the same in all processes.
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
        # Reduce all metrics as one vector, because each reduction between processes is a round of messages.
        total = self.strategy.reduce(tf.distribute.ReduceOp.SUM, sums, axis=None)
        return tf.concat([total, self.strategy.experimental_local_results(same)[0]], axis=0)

    def _replica_step(self, batch: Batch, stop: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the metrics to sum over replicas, and those equal on all replicas, as float32 vectors."""
        context = tf.distribute.get_replica_context()
        step = self.optimizer.step.read_value()
        seed = dropout_seed(self.settings.random_seed, step, context.replica_id_in_sync_group)
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
        return _vector(sums), _vector(same)

    def _gradients_of_part(
        self, batch: Batch, totals: Mapping[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], list[tf.Tensor | None]]:
        scale = self.optimizer.loss_scale
        with tf.GradientTape() as tape:
            loss, metrics = self.objective.loss(batch, totals, seed)
            scaled = loss if scale is None else loss * scale.scale.read_value()
        variables = [variable.value for variable in self.objective.model.trainable_variables]
        return {"loss": loss, **metrics}, tape.gradient(scaled, variables)

    def _accumulate(
        self, batch: Batch, totals: Mapping[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], list[tf.Tensor | None]]:
        """Sums the gradients of the batch's parts, with one part in memory at a time."""
        parts = self.settings.gradient_accumulation_steps
        rows = tf.shape(next(iter(batch.values())))[0]
        size = (rows + parts - 1) // parts
        variables = self.objective.model.trainable_variables
        names: list[str] = []
        used: list[int] = []  # indices of variables with a gradient, known once the body is traced

        def body(index: tf.Tensor, values: tf.TensorArray, sums: list[tf.Tensor]) -> Any:
            rows_of_part = {name: value[index * size : (index + 1) * size] for name, value in batch.items()}
            part_seed = tf.random.experimental.stateless_fold_in(seed, index)
            metrics, gradients = self._part(rows_of_part, totals, part_seed)
            names[:] = metrics
            used[:] = [i for i, gradient in enumerate(gradients) if gradient is not None]
            sums = list(sums)
            for i in used:
                sums[i] = sums[i] + tf.cast(tf.convert_to_tensor(gradients[i]), tf.float32)
            # Without a control dependency, TensorFlow would rewrite the chain of additions with temporary variables.
            # They outlive the loop, and the next call would fail because they exist.
            with tf.control_dependencies(sums):
                return index + 1, values.write(index, _vector(metrics)), sums

        start = [tf.zeros(variable.shape) for variable in variables]
        # All parts are computed inside the loop, one after another. Otherwise they might overlap and need more memory.
        _, values, sums = tf.while_loop(
            lambda index, *_: index < parts,
            body,
            (tf.constant(0), tf.TensorArray(tf.float32, size=parts), start),
            parallel_iterations=1,
        )
        metrics = dict(zip(names, tf.unstack(tf.reduce_sum(values.stack(), axis=0), num=len(names)), strict=True))
        return metrics, [total if i in used else None for i, total in enumerate(sums)]


def _vector(metrics: Mapping[str, tf.Tensor]) -> tf.Tensor:
    return tf.stack([tf.cast(value, tf.float32) for value in metrics.values()])


def dropout_seed(seed: int, step: tf.Tensor, replica: tf.Tensor | int) -> tf.Tensor:
    """Returns the dropout seed of a replica at a step, int32 [2]. A resumed run uses the same seeds."""
    step_seed = tf.random.experimental.stateless_fold_in(tf.constant([seed, 0]), tf.cast(step, tf.int32))
    return tf.random.experimental.stateless_fold_in(step_seed, replica)
