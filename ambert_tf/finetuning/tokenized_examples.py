"""Tokenized examples in memory, and batches of them."""

import concurrent.futures
import functools
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from ambert_tf.corpus.documents import usable_cores
from ambert_tf.finetuning.splits import Split
from ambert_tf.models.task_answers import span_targets
from ambert_tf.models.task_config import REGRESSION, SEQUENCE_LABELLING, SPANS, TaskConfig
from ambert_tf.models.task_inputs import MODEL_INPUTS, input_specs, pad_choices, task_inputs
from ambert_tf.models.token_labels import NO_SPAN, tag_targets
from ambert_tf.tokenization.model_inputs import pad_model_inputs
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

# Number of texts, or of questions with their contexts, per call of the tokenizer.
TEXTS_AT_ONCE = 256
QUESTIONS_AT_ONCE = 64
# To reduce padding, training batches are taken from random pools sorted by length. An epoch has at least this many
# pools, so that small data sets do not form the same batches in every epoch.
MIN_POOLS = 4
MAX_POOL_BATCHES = 32
NO_ANSWER = -1


class TokenizedExamples:
    """Model inputs and targets of a split, by row. A row is an example or, for spans, a window.

    Args:
      split: the examples.
      task: the task, which defines the inputs.
      tokenizer: the model's tokenizer.
      static_shapes: whether to pad to the maximum lengths, as required by XLA, rather than to the longest sequence in
        the batch.

    Attributes:
      split: as passed to the constructor.
      lengths: int [rows], the number of fine tokens.
      targets: arrays [rows] by name: `label`, -1 for none; or, for spans, `start` and `end`, the fine positions of the
        first answer in each window, 0 if the window does not contain the whole answer; or, for sequence labelling,
        `fine_tags`, int32 [rows, longest]; see `tag_targets`.
      windows: spans and sequence labelling only. The output of `build_windows`, with `window_example` numbered across
        the split.
    """

    def __init__(
        self, split: Split, task: TaskConfig, tokenizer: MultiGrainedTokenizer, static_shapes: bool = False
    ) -> None:
        self.split = split
        columns: dict[str, Any] = {
            name: ["" if (value := getattr(example.inputs, name)) is None else value for example in split.examples]
            for name in input_specs(task)
        }
        self._choices = 0
        at_once = TEXTS_AT_ONCE
        if "choices" in columns:
            columns["choices"] = pad_choices(columns["choices"], max(task.choices, 1))
            self._choices = len(columns["choices"][0])
            at_once = max(TEXTS_AT_ONCE // self._choices, 1)
        if task.form == SPANS:
            at_once = QUESTIONS_AT_ONCE
            spans = [_byte_span(example.inputs.context, example.span) for example in split.examples]
            columns["answer_start"], columns["answer_end"] = zip(*spans, strict=True)
        specs = _specs(task)
        slices: dict[str, Any] = {
            name: tf.constant(values, specs[name].dtype) for name, values in columns.items()
        }
        if task.form == SEQUENCE_LABELLING:
            slices["spans"] = byte_spans(split.examples, task.labels)
        tokenize = _tokenize_function(task, tokenizer)

        def tokenize_from(start: int) -> dict[str, Any]:
            return tokenize({name: values[start : start + at_once] for name, values in slices.items()})

        # Threads, because each tf.data pipeline would take a second to instantiate the function again.
        with concurrent.futures.ThreadPoolExecutor(usable_cores()) as threads:
            parts = list(threads.map(tokenize_from, range(0, len(split.examples), at_once)))
        if "window_example" in parts[0]:
            for index, part in enumerate(parts):
                part["window_example"] += index * at_once
        found = {name: tf.concat([part[name] for part in parts], axis=0) for name in parts[0]}
        self._inputs = {name: found[name] for name in (*MODEL_INPUTS, "fine_tags") if name in found}
        self._padded = (task.max_seq_length, task.max_coarse_seq_length) if static_shapes else (None, None)
        lengths = self._inputs["fine_input_ids"].row_lengths().numpy()
        self.lengths = lengths.reshape(-1, self._choices).sum(axis=1) if self._choices else lengths
        self.windows: dict[str, Any] = {}
        if task.form == SPANS:
            self.targets = {name: found.pop(f"target_{name}").numpy() for name in ("start", "end")}
            self.windows = {n: values for n, values in found.items() if n not in MODEL_INPUTS or n == "fine_to_coarse"}
            self._count_missed_answers()
        elif task.form == SEQUENCE_LABELLING:
            self.targets = {"fine_tags": found.pop("fine_tags").to_tensor().numpy()}
            self.windows = {name: values for name, values in found.items() if name not in MODEL_INPUTS}
        else:
            labels = [-1 if example.label is None else example.label for example in split.examples]
            self.targets = {"label": np.array(labels, np.float32 if task.form == REGRESSION else np.int32)}

    def _count_missed_answers(self) -> None:
        """Warns of training questions whose answer no window contains. They are trained as having no answer."""
        with_target = {int(row) for row in self.windows["window_example"].numpy()[self.targets["start"] > 0]}
        answered = {row for row, example in enumerate(self.split.examples) if example.span is not None}
        if self.split.name == "train" and (missed := answered - with_target):
            logging.warning(
                "%d of %d answers do not fit into any window, such as the answer to question %s; increase "
                "--max_seq_length or decrease --doc_stride", len(missed), len(answered),
                self.split.examples[min(missed)].id,
            )  # fmt: skip

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def longest(self) -> int:
        """The number of fine tokens in the longest row."""
        return int(self._inputs["fine_input_ids"].bounding_shape()[1])

    @functools.cached_property
    def digest(self) -> str:
        """Identifies what a model is trained on. It does not depend on names of files or on truncated text."""
        arrays = dict(self.targets)
        for name, values in self._inputs.items():
            arrays |= {name: values.flat_values.numpy(), f"{name}_lengths": values.row_lengths().numpy()}
        digest = 0
        for name in sorted(arrays):
            digest = zlib.crc32(arrays[name].tobytes(), zlib.crc32(name.encode(), digest))
        return f"{len(self)} rows, CRC-32 {digest:08x}"

    def describe(self, rows: Iterable[int]) -> str:
        """Describes the examples of the given rows by their ids, for error messages."""
        if self.windows:
            rows = self.windows["window_example"].numpy()[list(rows)]
        ids = ", ".join(str(self.split.examples[row].id) for row in dict.fromkeys(rows))
        return f"the examples with id {ids} in {' and '.join(self.split.files)}"

    def batches(self, rows: tf.data.Dataset) -> tf.data.Dataset:
        """Maps batches of row numbers to batches of dense model inputs and targets.

        Inputs are int32 [batch, length] or, for multiple choice, [batch, choices, length], where missing choices
        consist of padding.
        """

        @tf.autograph.experimental.do_not_convert
        def batch(indices: tf.Tensor) -> dict[str, tf.Tensor]:
            chosen = indices
            if self._choices:
                every = tf.range(self._choices, dtype=indices.dtype)
                chosen = tf.reshape(indices[:, tf.newaxis] * self._choices + every, [-1])
            ragged = {name: tf.gather(values, chosen) for name, values in self._inputs.items()}
            dense = pad_model_inputs(ragged, *self._padded)
            if self._choices:
                dense = {
                    name: tf.reshape(value, [-1, self._choices, tf.shape(value)[1]]) for name, value in dense.items()
                }
            targets = {name: tf.gather(values, indices) for name, values in self.targets.items() if name not in dense}
            return {**dense, **targets}

        return rows.map(batch, num_parallel_calls=2, deterministic=True).prefetch(tf.data.AUTOTUNE)

    def in_order_of_length(self, batch_size: int) -> Iterator[tuple[np.ndarray, dict[str, tf.Tensor]]]:
        """Yields all rows once, as pairs of row numbers and a batch of sequences of similar lengths."""
        order = np.argsort(self.lengths, kind="stable")
        batches = self.batches(tf.data.Dataset.from_tensor_slices(order).batch(batch_size))
        for index, batch in enumerate(batches):
            yield order[index * batch_size : (index + 1) * batch_size], batch

    def training_batches(
        self, plan: np.ndarray, start_step: int, context: tf.distribute.InputContext
    ) -> tf.data.Dataset:
        """Returns the batches of a plan, each split across the replicas.

        Args:
          plan: see `training_plan`.
          start_step: the first step.
          context: the input context, which determines this worker's part of each batch.
        """
        workers, worker = context.num_input_pipelines, context.input_pipeline_id
        share = plan.shape[1] // workers
        part = plan[start_step:, worker * share : (worker + 1) * share]
        rows = part.reshape(-1, plan.shape[1] // context.num_replicas_in_sync)
        return self.batches(tf.data.Dataset.from_tensor_slices(rows))


def byte_spans(examples: Sequence[Any], labels: Sequence[str]) -> tf.RaggedTensor:
    """Returns the spans of texts as `tag_targets` takes them, ragged int32 [texts, (spans), 3]."""
    index = {label: number for number, label in enumerate(labels)}
    rows: list[tuple[int, int, int]] = []
    counts = []
    for example in examples:
        spans = example.spans or ()
        # The byte at which each character starts.
        starts = np.cumsum([0, *(len(character.encode()) for character in example.inputs.text)]) if spans else ()
        rows += [(starts[span.start], starts[span.end], index[span.label]) for span in sorted(spans)]
        counts.append(len(spans))
    return tf.RaggedTensor.from_row_lengths(np.array(rows, np.int32).reshape(-1, 3), counts)


def _byte_span(text: str, span: tuple[int, int] | None) -> tuple[int, int]:
    """Converts a span in characters to a span in UTF-8 bytes."""
    if span is None:
        return NO_ANSWER, NO_ANSWER
    start = len(text[: span[0]].encode())
    return start, start + len(text[span[0] : span[1]].encode())


def _specs(task: TaskConfig) -> dict[str, Any]:
    """Returns the columns to tokenize: the raw inputs and the byte offsets of the answer or of the labelled spans."""
    numbers = tf.TensorSpec([None], tf.int32)
    if task.form == SEQUENCE_LABELLING:
        return {**input_specs(task), "spans": tf.RaggedTensorSpec([None, None, 3], tf.int32, ragged_rank=1)}
    return input_specs(task) | ({"answer_start": numbers, "answer_end": numbers} if task.form == SPANS else {})


@functools.lru_cache(maxsize=4)
def _tokenize_function(
    task: TaskConfig, tokenizer: MultiGrainedTokenizer
) -> Callable[[Mapping[str, tf.Tensor]], dict[str, Any]]:
    """Returns `task_inputs` as a graph. Tracing takes seconds, so graphs are cached."""

    def tokenize(columns: dict[str, tf.Tensor]) -> dict[str, Any]:
        columns = dict(columns)
        answers = [columns.pop(name) for name in ("answer_start", "answer_end") if name in columns]
        spans = columns.pop("spans", None)
        inputs = task_inputs(task, tokenizer, **columns)
        if spans is not None:
            inputs["fine_tags"] = tag_targets(task.tag_set, inputs, spans.to_tensor(NO_SPAN, shape=[None, None, 3]))
        if answers:
            inputs |= {f"target_{name}": values for name, values in span_targets(inputs, *answers).items()}
        return inputs

    return tf.function(tokenize, input_signature=[_specs(task)], autograph=False)


def training_plan(lengths: np.ndarray, batch_size: int, num_train_steps: int, seed: int) -> np.ndarray:
    """Returns the examples of each training step.

    Each epoch uses every example once, in a new order. The last batch of an epoch is completed with examples of the
    next epoch that it does not contain yet. Within an epoch, each batch has sequences of similar lengths.

    Args:
      lengths: int [examples].
      batch_size: global batch size.
      num_train_steps: number of steps.
      seed: random seed.

    Returns:
      int [num_train_steps, batch_size].
    """
    count, wanted = len(lengths), num_train_steps * batch_size
    random = np.random.default_rng([seed, count])
    pool = batch_size * int(np.clip(count // batch_size // MIN_POOLS, 1, MAX_POOL_BATCHES))
    parts: list[np.ndarray] = []
    filled, incomplete = 0, np.zeros(0, np.int64)
    while filled < wanted:
        order = random.permutation(count)
        order = order[np.argsort(np.isin(order, incomplete), kind="stable")]
        missing = min(-filled % batch_size, count)
        rest = random.permutation(order[missing:])
        whole = len(rest) // batch_size * batch_size
        parts.append(order[:missing])
        for start in range(0, whole, pool):
            chosen = rest[start : min(start + pool, whole)]
            batches = chosen[np.argsort(lengths[chosen], kind="stable")].reshape(-1, batch_size)
            parts.append(random.permutation(batches).reshape(-1))
        parts.append(rest[whole:])
        filled += count
        if whole or filled % batch_size < count:
            incomplete = rest[whole:]
    return np.concatenate(parts)[:wanted].reshape(num_train_steps, batch_size)
