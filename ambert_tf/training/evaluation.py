"""Evaluation over `tf.distribute`: sums over all batches of a data set."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from ambert_tf.training.loop import Batch


class Evaluator:
    """Adds up what a step returns for each batch of a data set.

    Args:
      strategy: where to run.
      step: a batch to sums over it, tensors of fixed shape by name; in replica context.
      make_dataset: gives the batches, one a replica.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        step: Callable[[Batch], dict[str, tf.Tensor]],
        make_dataset: Callable[[tf.distribute.InputContext], tf.data.Dataset],
    ) -> None:
        self._strategy = strategy
        self._dataset = strategy.distribute_datasets_from_function(make_dataset)
        self._step = step
        self._run = tf.function(self._sums_of_batch, autograph=False)

    def _sums_of_batch(self, batch: Any) -> dict[str, tf.Tensor]:
        sums = self._strategy.run(self._step, args=(batch,))
        return {
            name: self._strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None) for name, value in sums.items()
        }

    def __call__(self, max_steps: int | None = None) -> dict[str, np.ndarray]:
        """Returns the sums over all batches, or over the first `max_steps`: float64 or int64, by name."""
        sums: dict[str, np.ndarray] = {}
        for index, batch in enumerate(self._dataset):
            if max_steps is not None and index >= max_steps:
                break
            for name, value in self._run(batch).items():
                array = value.numpy()
                sums[name] = sums.get(name, 0) + array.astype(np.int64 if array.dtype.kind == "i" else np.float64)
        return sums
