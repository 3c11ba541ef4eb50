"""Evaluation: sums over all batches of a data set."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from ambert_tf.training.loop import Batch


class Evaluator:
    """Adds up what a step returns for each batch of a data set.

    It runs on one device, whatever the strategy of training is: the variables are the same on all, and the
    last batches of a data set can be fewer than the replicas.

    Args:
      step: a batch to sums over it, tensors of fixed shape by name.
      make_dataset: gives the batches.
    """

    def __init__(
        self, step: Callable[[Batch], dict[str, tf.Tensor]], make_dataset: Callable[[], tf.data.Dataset]
    ) -> None:
        self._make_dataset = make_dataset
        self._step = tf.function(step, autograph=False, reduce_retracing=True)

    def __call__(self, max_steps: int | None = None) -> dict[str, np.ndarray]:
        """Returns the sums over all batches, or over the first `max_steps`: float64 or int64, by name."""
        sums: dict[str, np.ndarray] = {}
        for batch in self._make_dataset().take(-1 if max_steps is None else max_steps):
            for name, value in self._step(batch).items():
                array = value.numpy()
                sums[name] = sums.get(name, 0) + array.astype(np.int64 if array.dtype.kind == "i" else np.float64)
        return sums
