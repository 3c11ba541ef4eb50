"""Reads pre-training records as batches of model inputs.

The order of the records depends only on seed and epoch, so an interrupted training run resumes with exactly the next
batch.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.pretraining_data import examples
from ambert_tf.pretraining_data.masking import GRAINS, MaskingSettings, mask_sequences
from ambert_tf.pretraining_data.random_keys import seed_key, tf_fold
from ambert_tf.pretraining_data.records import RecordKind, compression_type, count_records, record_kind

_READ_BUFFER_BYTES = 4 << 20
# Converting functions without Python control flow by AutoGraph only takes time.
_without_autograph = tf.autograph.experimental.do_not_convert

# A record's number is its index plus a multiple of this, which encodes the file or the epoch. Zipping with a constant
# dataset instead would be slow.
_NUMBERS = 2**40

# Numbers folded into the key of an epoch for independent random draws.
_FILE_ORDER, _RECORD_ORDER, _MASKS, _STEP_ORDER = 1, 2, 3, 4


def pretraining_dataset(
    files: Sequence[str],
    *,
    batch_size: int,
    seed: int = 0,
    shuffle_buffer: int = 10_000,
    num_epochs: int | None = None,
    start_step: int = 0,
    masking: MaskingSettings | None = None,
    masked_lm_prob: Callable[[tf.Tensor], tf.Tensor] | None = None,
    fine_length: int | None = None,
    coarse_length: int | None = None,
    fine_predictions: int | None = None,
    coarse_predictions: int | None = None,
    drop_remainder: bool = False,
    group_by_length: int = 1,
    input_context: tf.distribute.InputContext | None = None,
    numbers_only: bool = False,
) -> tf.data.Dataset:
    """Reads records into dense, padded batches.

    Each epoch permutes the files and shuffles the records in a buffer. The files written by `create_pretraining_data`
    are already shuffled. A batch may contain records of two epochs.

    Args:
      files: TFRecord files, plain or gzip, all of the same kind (see `record_kind`).
      batch_size: batch size of this pipeline or, with `input_context`, of this worker.
      seed: random seed of the order and of dynamic masks.
      shuffle_buffer: size of the shuffle buffer in records. 0 reads the files in order.
      num_epochs: number of epochs. None repeats forever.
      start_step: number of batches to skip. Whole epochs are skipped at no cost. Within an epoch, skipped records are
        read but not parsed.
      masking: settings for masking records without masks, differently in each epoch. Not used for masked records.
      masked_lm_prob: function from the training step (int64) to the masking probability (float64) of records without
        masks. Defaults to the constant probability of `masking`.
      fine_length: length to pad fine sequences to. None pads to the longest in the batch.
      coarse_length: likewise for coarse sequences.
      fine_predictions: likewise for masked fine tokens.
      coarse_predictions: likewise for masked coarse tokens.
      drop_remainder: whether to drop an incomplete last batch.
      group_by_length: number of steps whose records are sorted by length before batching, which reduces padding. The
        batches of these steps are shuffled. 1 disables it. Cannot be combined with `num_epochs`.
      input_context: the context of `tf.distribute`. Each pipeline reads its own files if they can be shared equally,
        and every n-th record of all files otherwise, because all pipelines contribute the same number of batches.
      numbers_only: whether to return the numbers of each batch's records, int64 [batch], for `record_places`, instead
        of their contents.

    Returns:
      Batches of int32 `g_input_ids`, `g_segment_ids` [batch, g_length], `fine_to_coarse` [batch,
      fine_length], `g_masked_lm_positions`, `g_masked_lm_ids` and float32 `g_masked_lm_weights` [batch,
      g_predictions] for both grains g and, if the records have it, `next_sentence_label` [batch].

    Raises:
      InputError: the first record of a file is damaged or not a pre-training record, or `masking` is missing for
        records without masks.
    """
    files = sorted(files)
    facts = record_kind(files)
    if not facts.masked and masking is None:
        raise InputError(f"{files[0]}: its records have no masks (--masking=dynamic); masking settings are needed")
    identities = list(range(len(files)))
    worker, workers = 0, 1
    if input_context is not None:
        worker, workers = input_context.input_pipeline_id, input_context.num_input_pipelines
    every = workers
    if len(files) % workers == 0:
        identities, every = identities[worker::workers], 1

    grouped_steps = group_by_length if num_epochs is None else 1
    batches_per_step = input_context.num_replicas_in_sync // workers if input_context is not None else 1
    grouped_batches = grouped_steps * batches_per_step
    start_batch = start_step % grouped_batches
    start_epoch, start_record = 0, (start_step - start_batch) * batch_size
    if start_record:
        total = sum(count_records(files[identity]) for identity in identities)
        epoch_records = len(range(worker, total, every)) if every > 1 else total
        start_epoch, start_record = divmod(start_record, epoch_records)

    names = tf.constant(files)
    compressions = tf.constant([compression_type(name) for name in files])
    run_key = seed_key(seed)

    # These are operations on whole datasets, because a function per record would be slower than all later stages.
    @_without_autograph
    def read_file(identity: tf.Tensor) -> tf.data.Dataset:
        records = tf.data.TFRecordDataset(names[identity], compressions[identity], _READ_BUFFER_BYTES)
        return records.enumerate(identity * _NUMBERS)

    @_without_autograph
    def read_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        epoch_key = tf_fold(tf.constant(run_key), epoch)
        order = tf.constant(identities, tf.int64)
        if shuffle_buffer:
            order = tf.gather(order, _argsort(tf_fold(tf_fold(epoch_key, tf.constant(_FILE_ORDER)), order)))
        records = tf.data.Dataset.from_tensor_slices(order).flat_map(read_file)
        if every > 1:
            records = records.shard(every, worker)
        if shuffle_buffer:
            shuffle_seed = _positive(tf_fold(epoch_key, tf.constant(_RECORD_ORDER)))
            records = records.shuffle(shuffle_buffer, shuffle_seed, reshuffle_each_iteration=False)
        return records.enumerate(epoch * _NUMBERS)

    @_without_autograph
    def model_inputs(batch: tf.Tensor, rows: tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]) -> dict[str, tf.Tensor]:
        places, (numbers, serialized) = rows
        rule = masking
        if masking is not None and masked_lm_prob is not None:
            rule = dataclasses.replace(masking, masked_lm_prob=masked_lm_prob(batch // batches_per_step))
        mask_keys = tf_fold(tf_fold(tf.constant(run_key), places // _NUMBERS), tf.constant(_MASKS))
        return _model_inputs(serialized, tf_fold(mask_keys, numbers), facts, rule, lengths)

    @_without_autograph
    def sort_by_length(
        places: tf.Tensor, records: tuple[tf.Tensor, tf.Tensor]
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
        numbers, serialized = records
        # The size in bytes is an approximation of the length that does not require parsing.
        order = tf.argsort(tf.strings.length(serialized), stable=True)
        steps = tf.range(grouped_steps, dtype=tf.int64)
        key = tf_fold(tf_fold(tf.constant(run_key), places[0]), tf.constant(_STEP_ORDER))
        steps = _argsort(tf_fold(key, steps))
        # [step, batch, replica]: the replicas of a step, which wait for each other, get records of similar length.
        order = tf.gather(tf.reshape(order, [grouped_steps, batch_size, batches_per_step]), steps)
        order = tf.reshape(tf.transpose(order, [0, 2, 1]), [grouped_batches, batch_size])
        return tf.gather(places, order), (tf.gather(numbers, order), tf.gather(serialized, order))

    epochs = tf.data.Dataset.range(start_epoch, num_epochs if num_epochs is not None else 2**22)
    dataset = epochs.flat_map(read_epoch).skip(start_record)
    if grouped_steps > 1:
        dataset = dataset.batch(grouped_batches * batch_size, drop_remainder=True).map(sort_by_length)
        dataset = dataset.unbatch().skip(start_batch)
    else:
        dataset = dataset.batch(batch_size, drop_remainder=drop_remainder)
    lengths = {
        "fine": fine_length,
        "coarse": coarse_length,
        "fine_masked_lm": fine_predictions,
        "coarse_masked_lm": coarse_predictions,
    }
    if numbers_only:
        return dataset.map(_without_autograph(lambda _, records: records[0]))
    dataset = dataset.enumerate(start_step).map(model_inputs, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.prefetch(tf.data.AUTOTUNE)


def record_places(files: Sequence[str], numbers: Iterable[int]) -> str:
    """Returns a readable list of records, such as `train-0 records 3, 17; train-1 record 4`.

    Args:
      files: the files passed to `pretraining_dataset`.
      numbers: record numbers returned by it.
    """
    by_file: dict[str, list[int]] = {}
    for number in sorted(numbers):
        identity, index = divmod(int(number), _NUMBERS)
        by_file.setdefault(sorted(files)[identity], []).append(index)
    return "; ".join(
        f"{name} record{'s' if len(indices) > 1 else ''} {', '.join(map(str, indices))}"
        for name, indices in by_file.items()
    )


def _positive(key: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.bitwise.right_shift(key, tf.constant(1, tf.uint64)), tf.int64)


def _argsort(keys: tf.Tensor) -> tf.Tensor:
    return tf.argsort(_positive(keys), stable=True)


def _model_inputs(
    serialized: tf.Tensor,
    keys: tf.Tensor,
    facts: RecordKind,
    masking: MaskingSettings | None,
    lengths: dict[str, int | None],
) -> dict[str, tf.Tensor]:
    features = list(examples.INPUT_FEATURES)
    if facts.masked:
        features.extend(examples.MASK_FEATURES)
    if facts.next_sentence:
        features.append(examples.NEXT_SENTENCE_FEATURE)
    parsed: dict[str, Any] = examples.parse_examples(serialized, features)
    if not facts.masked:
        assert masking is not None
        parsed = mask_sequences(parsed, keys, masking)

    inputs = {}
    for grain in GRAINS:
        for name in (f"{grain}_input_ids", f"{grain}_segment_ids"):
            inputs[name] = _pad(parsed[name], lengths[grain], name)
        predictions = lengths[f"{grain}_masked_lm"]
        for name in (f"{grain}_masked_lm_positions", f"{grain}_masked_lm_ids"):
            inputs[name] = _pad(parsed[name], predictions, name)
        real = parsed[f"{grain}_masked_lm_ids"].row_lengths()[:, None]
        places = tf.range(tf.shape(inputs[f"{grain}_masked_lm_ids"], tf.int64)[1])
        inputs[f"{grain}_masked_lm_weights"] = tf.cast(places[None, :] < real, tf.float32)
    inputs["fine_to_coarse"] = _pad(parsed["fine_to_coarse"], lengths["fine"], "fine_to_coarse")
    if facts.next_sentence:
        label = parsed[examples.NEXT_SENTENCE_FEATURE]
        inputs[examples.NEXT_SENTENCE_FEATURE] = tf.reshape(label.flat_values, [label.nrows()])
    return inputs


def _pad(ragged: tf.RaggedTensor, length: int | None, name: str) -> tf.Tensor:
    """Returns a dense tensor [batch, length], padded with 0. A longer row raises an error."""
    if length is None:
        return ragged.to_tensor(0)
    longest = tf.reduce_max(tf.concat([ragged.row_lengths(), [0]], 0))
    message = f"a record's {name} is longer than {length}"
    fits = tf.debugging.assert_less_equal(longest, tf.constant(length, tf.int64), message)
    with tf.control_dependencies([fits]):
        return ragged.to_tensor(0, shape=[None, length])
