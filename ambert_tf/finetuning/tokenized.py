"""Tokenized examples in memory, and batches of them."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from ambert_tf.tasks.declaration import Example
from ambert_tf.tokenization.model_inputs import build_model_inputs, pad_model_inputs
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

TEXTS_AT_ONCE = 256
# Training batches are cut from pools of this many batches, sorted by length: less padding, still random.
POOL_BATCHES = 32

Limits = tuple[int, int]


class TokenizedExamples:
    """The model inputs of some examples, and what is to be predicted.

    Args:
      inputs: ragged int32 [rows, (length)], see `build_model_inputs`.
      targets: by name, [examples].
      fixed_lengths: pad to this fine and this coarse length rather than to the longest of a batch, as XLA's fixed
        shapes need.
      rows: inputs an example has; 0 for one without an axis of its own. In multiple choice the choices, those that an
        example lacks empty.

    Attributes:
      lengths: int [examples]; the fine tokens of each.
      targets: as given.
    """

    def __init__(
        self,
        inputs: Mapping[str, tf.RaggedTensor],
        targets: Mapping[str, np.ndarray],
        fixed_lengths: Limits | None = None,
        rows: int = 0,
    ) -> None:
        self._inputs = inputs
        self._rows = rows
        self._padded = fixed_lengths or (None, None)
        lengths = inputs["fine_input_ids"].row_lengths().numpy()
        self.lengths = lengths.reshape(-1, rows).sum(axis=1) if rows else lengths
        self.targets = dict(targets)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def longest(self) -> int:
        """The fine tokens of the longest row."""
        return int(self._inputs["fine_input_ids"].bounding_shape()[1])

    def batches(self, rows: tf.data.Dataset) -> tf.data.Dataset:
        """Returns the batches of dense model inputs and targets that batches of example numbers stand for.

        Inputs are int32 [batch, length], or with several rows an example [batch, rows, length].
        """

        @tf.autograph.experimental.do_not_convert
        def batch(indices: tf.Tensor) -> dict[str, tf.Tensor]:
            chosen = indices
            if self._rows:
                every = tf.range(self._rows, dtype=indices.dtype)
                chosen = tf.reshape(indices[:, tf.newaxis] * self._rows + every, [-1])
            ragged = {name: tf.gather(values, chosen) for name, values in self._inputs.items()}
            dense = pad_model_inputs(ragged, *self._padded)
            if self._rows:
                dense = {
                    name: tf.reshape(value, [-1, self._rows, tf.shape(value)[1]]) for name, value in dense.items()
                }
            return {**dense, **{name: tf.gather(values, indices) for name, values in self.targets.items()}}

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


def tokenize_examples(
    tokenizer: MultiGrainedTokenizer,
    examples: Sequence[Example],
    limits: Limits,
    fixed_lengths: bool = False,
    choices: int = 0,
    label_type: type = np.int32,
) -> TokenizedExamples:
    """Tokenizes examples once.

    Args:
      tokenizer: the model's.
      examples: what to tokenize.
      limits: fine and coarse tokens at most.
      fixed_lengths: see `TokenizedExamples`.
      choices: in multiple choice the number of choices to fill up to.
      label_type: of the target `label`; -1 where an example has none.
    """
    rows = [row for example in examples for row in example.rows]
    pair = bool(rows) and rows[0].text_pair is not None
    columns = [[row.text for row in rows]]
    if pair:
        columns.append([row.text_pair or "" for row in rows])
    dataset = tf.data.Dataset.from_tensor_slices(tuple(tf.constant(texts, tf.string) for texts in columns))
    tokenize = _tokenize_function(tokenizer, *limits, pair)
    parts = list(dataset.batch(TEXTS_AT_ONCE).map(tokenize, num_parallel_calls=tf.data.AUTOTUNE))
    inputs = {name: tf.concat([part[name] for part in parts], axis=0) for name in parts[0]}
    if choices:
        inputs = _filled_up(inputs, np.array([len(example.rows) for example in examples]), choices)
    labels: np.ndarray = np.array([-1 if example.label is None else example.label for example in examples], label_type)
    return TokenizedExamples(inputs, {"label": labels}, limits if fixed_lengths else None, choices)


def _filled_up(inputs: Mapping[str, tf.RaggedTensor], counts: np.ndarray, choices: int) -> dict[str, tf.RaggedTensor]:
    """Puts empty rows behind those of each example, so that all examples have as many."""
    there = np.arange(choices) < counts[:, np.newaxis]
    filled = {}
    for name, values in inputs.items():
        lengths = np.zeros(there.shape, np.int64)
        lengths[there] = values.row_lengths().numpy()
        filled[name] = tf.RaggedTensor.from_row_lengths(values.flat_values, lengths.reshape(-1), validate=False)
    return filled


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
