"""Tokenized examples in memory, and batches of them."""

import functools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from ambert_tf.tasks.declaration import Example
from ambert_tf.tokenization.model_inputs import build_model_inputs, pad_model_inputs
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

TEXTS_AT_ONCE = 256
# Training batches are cut from pools of this many batches, sorted by length: less padding, still random.
POOL_BATCHES = 32


class TokenizedExamples:
    """The model inputs of some examples, tokenized once.

    Args:
      tokenizer: the model's tokenizer.
      examples: what to tokenize.
      max_seq_length: fine tokens at most.
      max_coarse_seq_length: coarse tokens at most.
      fixed_lengths: pad to these lengths rather than to the longest of a batch, as XLA's fixed shapes need.

    Attributes:
      lengths: int [examples]; the fine tokens of each.
      labels: int32 [examples]; -1 where there is none.
    """

    def __init__(
        self,
        tokenizer: MultiGrainedTokenizer,
        examples: Sequence[Example],
        max_seq_length: int,
        max_coarse_seq_length: int,
        fixed_lengths: bool = False,
    ) -> None:
        pair = bool(examples) and examples[0].texts.text_pair is not None
        columns = [[example.texts.text for example in examples]]
        if pair:
            columns.append([example.texts.text_pair or "" for example in examples])
        dataset = tf.data.Dataset.from_tensor_slices(tuple(tf.constant(texts, tf.string) for texts in columns))
        tokenize = _tokenize_function(tokenizer, max_seq_length, max_coarse_seq_length, pair)
        dataset = dataset.batch(TEXTS_AT_ONCE).map(tokenize, num_parallel_calls=tf.data.AUTOTUNE)
        parts = list(dataset)
        self._inputs = {name: tf.concat([part[name] for part in parts], axis=0) for name in parts[0]}
        self._padded = (max_seq_length, max_coarse_seq_length) if fixed_lengths else (None, None)
        self.lengths = self._inputs["fine_input_ids"].row_lengths().numpy()
        self.labels = np.array([-1 if example.label is None else example.label for example in examples], np.int32)

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, rows: tf.data.Dataset) -> tf.data.Dataset:
        """Returns the batches of dense model inputs, with `label`, that batches of example numbers stand for."""

        @tf.autograph.experimental.do_not_convert
        def batch(indices: tf.Tensor) -> dict[str, tf.Tensor]:
            ragged = {name: tf.gather(values, indices) for name, values in self._inputs.items()}
            return {**pad_model_inputs(ragged, *self._padded), "label": tf.gather(self.labels, indices)}

        return rows.map(batch, num_parallel_calls=2, deterministic=True).prefetch(tf.data.AUTOTUNE)

    def in_order_of_length(self, batch_size: int) -> Iterator[tuple[np.ndarray, dict[str, tf.Tensor]]]:
        """Yields each example once, in batches of like lengths: their numbers and their inputs."""
        order = np.argsort(self.lengths, kind="stable")
        batches = self.batches(tf.data.Dataset.from_tensor_slices(order).batch(batch_size))
        for index, batch in enumerate(batches):
            yield order[index * batch_size : (index + 1) * batch_size], batch

    def training_batches(
        self, plan: np.ndarray, start_step: int, context: tf.distribute.InputContext
    ) -> tf.data.Dataset:
        """Returns the batches of a plan from a step on, each divided among the replicas.

        Args:
          plan: see `training_plan`.
          start_step: steps made already.
          context: says which part of each batch is wanted here.
        """
        workers, worker = context.num_input_pipelines, context.input_pipeline_id
        share = plan.shape[1] // workers
        part = plan[start_step:, worker * share : (worker + 1) * share]
        rows = part.reshape(-1, plan.shape[1] // context.num_replicas_in_sync)
        return self.batches(tf.data.Dataset.from_tensor_slices(rows))


@functools.lru_cache(maxsize=4)
def _tokenize_function(
    tokenizer: MultiGrainedTokenizer, max_seq_length: int, max_coarse_seq_length: int, pair: bool
) -> Callable[..., dict[str, tf.RaggedTensor]]:
    """Returns `build_model_inputs` as a graph, which takes seconds to make."""

    def tokenize(*texts: tf.Tensor) -> dict[str, tf.RaggedTensor]:
        return build_model_inputs(
            tokenizer, *texts, max_seq_length=max_seq_length, max_coarse_seq_length=max_coarse_seq_length
        )

    signature = [tf.TensorSpec([None], tf.string)] * (2 if pair else 1)
    return tf.function(tokenize, input_signature=signature, autograph=False)


def training_plan(lengths: np.ndarray, batch_size: int, num_train_steps: int, seed: int) -> np.ndarray:
    """Returns which examples each training step takes, int [num_train_steps, batch_size].

    Each epoch takes all examples in a new order; a batch may hold the end of one epoch and the start of the next.

    Args:
      lengths: of the examples.
      batch_size: examples a step.
      num_train_steps: number of steps.
      seed: of the order.
    """
    random = np.random.default_rng([seed, len(lengths)])
    wanted = num_train_steps * batch_size
    epochs = [random.permutation(len(lengths)) for _ in range(-(-wanted // len(lengths)))]
    stream = np.concatenate(epochs)[:wanted]
    pools = []
    for start in range(0, wanted, POOL_BATCHES * batch_size):
        pool = stream[start : start + POOL_BATCHES * batch_size]
        batches = pool[np.argsort(lengths[pool], kind="stable")].reshape(-1, batch_size)
        pools.append(batches[random.permutation(len(batches))])
    return np.concatenate(pools)
