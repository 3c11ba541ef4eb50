"""Runs a fine-tuned model over tokenized examples."""

import time

import numpy as np
import tensorflow as tf

from ambert_tf.finetuning.form import Logits
from ambert_tf.finetuning.tokenized_examples import TokenizedExamples
from ambert_tf.models.ambert_token_classifier import AmbertTokenClassifier
from ambert_tf.models.classification_heads import MASKED_LOGIT
from ambert_tf.models.task_models import TaskModel


class Predictor:
    """Runs a model in a single graph.

    Args:
      model: a model with heads. Dropout is not applied.
    """

    def __init__(self, model: TaskModel) -> None:
        self._graphs = tf.function(lambda batch: model(batch, training=False), autograph=False)
        self._model = model
        coarse_only = model.config.grains == ("coarse",)
        self._coarse_heads = frozenset(("coarse", "joint") if coarse_only else ("coarse",))

    def __call__(self, examples: TokenizedExamples, batch_size: int) -> Logits:
        """Returns the logits of all examples, in the original order."""
        by_head: dict[str, np.ndarray] = {}
        timed, seconds, started = 0, 0.0, time.perf_counter()
        for index, (rows, batch) in enumerate(examples.in_order_of_length(batch_size)):
            if index == 0:
                # One graph for all batch sizes and lengths. `reduce_retracing` alone would trace several first.
                signature = {
                    name: tf.TensorSpec([None] * value.shape.rank, value.dtype) for name, value in batch.items()
                }
                run = self._graphs.get_concrete_function(signature)
            for name, logits in run(batch).items():
                values = logits.numpy()
                if name not in by_head:
                    shape = (examples.longest, *values.shape[2:]) if values.ndim == 3 else values.shape[1:]
                    by_head[name] = np.full((len(examples), *shape), MASKED_LOGIT, np.float32)
                if values.ndim == 3:
                    length = min(values.shape[1], examples.longest)
                    by_head[name][rows, :length] = values[:, :length]
                else:
                    by_head[name][rows] = values
            now = time.perf_counter()
            if index == 1:
                timed, seconds = 0, 0.0
            timed, seconds, started = timed + len(rows), seconds + now - started, now
        transitions: dict[str, np.ndarray] = {}
        if isinstance(self._model, AmbertTokenClassifier):
            transitions = {name: values.numpy() for name, values in self._model.transitions().items()}
        return Logits(by_head, timed / max(seconds, 1e-9), self._coarse_heads, transitions)
