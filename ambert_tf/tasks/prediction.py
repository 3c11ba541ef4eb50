"""Runs a classifier over tokenized examples."""

import time
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ambert_tf.modeling.classification_model import ClassificationModel
from ambert_tf.tasks.tokenized import TokenizedExamples


class Logits(NamedTuple):
    """What the heads say of a data set.

    Attributes:
      by_head: float32 [examples, classes] by the head's name.
      examples_per_second: rate of the model alone; the first batch, which traces the graph, is left out where there
        are others.
    """

    by_head: dict[str, np.ndarray]
    examples_per_second: float


class Predictor:
    """The graph of a model's prediction.

    Args:
      model: whose logits to compute, without dropout.
    """

    def __init__(self, model: ClassificationModel) -> None:
        self._run = tf.function(lambda batch: model(batch, training=False), reduce_retracing=True, autograph=False)
        self._num_classes = model.num_classes
        self._heads = model.head_names

    def __call__(self, examples: TokenizedExamples, batch_size: int) -> Logits:
        """Returns the logits of all examples, in their order."""
        by_head = {name: np.zeros((len(examples), self._num_classes), np.float32) for name in self._heads}
        timed, seconds, started = 0, 0.0, time.perf_counter()
        for index, (rows, batch) in enumerate(examples.in_order_of_length(batch_size)):
            for name, values in self._run(batch).items():
                by_head[name][rows] = values.numpy()
            now = time.perf_counter()
            if index == 1:
                timed, seconds = 0, 0.0
            timed, seconds, started = timed + len(rows), seconds + now - started, now
        return Logits(by_head, timed / max(seconds, 1e-9))
