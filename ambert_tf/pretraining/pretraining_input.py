"""The batches of pre-training, determined by the settings and the `stats.json` of the records."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from absl import logging

from ambert_tf.errors import InputError
from ambert_tf.files import exists, file_size, open_input, parse_json
from ambert_tf.pretraining.pretraining_settings import PretrainingSettings
from ambert_tf.pretraining_data.dataset import pretraining_dataset, record_places
from ambert_tf.pretraining_data.masking import MaskingSettings
from ambert_tf.pretraining_data.stats import STATS_FILE
from ambert_tf.pretraining_data.tokenizer_copy import TOKENIZER_DIRECTORY, find_copy
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

DEFAULT_MASKED_LM_PROB = 0.15


class PretrainingInput:
    """The training and held-out batches of a run.

    Args:
      settings: the program's settings.
      tokenizer: the tokenizer of the records.
      stats: `read_stats` of the training records.
      longest: `longest_lengths` of all training and held-out records.
      masked: whether the training records have masks (static masking).

    Raises:
      InputError: masking settings were given for records with static masks, a length is less than that of the records,
        or records with dynamic masking were created with different masking settings.
    """

    def __init__(
        self,
        settings: PretrainingSettings,
        tokenizer: MultiGrainedTokenizer,
        stats: Mapping[str, Mapping[str, Any]],
        longest: Mapping[str, int],
        masked: bool,
    ) -> None:
        self.settings = settings
        self._context = tf.distribute.InputContext()
        for name, length in longest_lengths(stats).items():
            given = getattr(settings, name)
            if given is not None and given < length:
                raise InputError(
                    f"--{name}={given}: the records were created with --{name}={length}, and are not truncated; omit "
                    "the flag, or recreate the records"
                )
        fine_length = settings.max_seq_length or longest.get("max_seq_length", 512)
        coarse_length = settings.max_coarse_seq_length or longest.get("max_coarse_seq_length", fine_length)
        recorded = _masking_arguments(stats, settings, masked)
        first_prob = settings.masked_lm_prob or recorded.get("masked_lm_prob") or DEFAULT_MASKED_LM_PROB
        last_prob = settings.final_masked_lm_prob or first_prob
        # BERT's command line has the flag for records with static masks, too, which it cannot change.
        own_max = None if masked else settings.max_predictions_per_seq
        if masked and settings.max_predictions_per_seq is not None:
            logging.info("--max_predictions_per_seq has no effect: the records have static masks")
        max_predictions = own_max or recorded.get("max_predictions_per_seq")
        # The flag limits both grains.
        coarse_max = None if own_max else recorded.get("max_coarse_predictions_per_seq")
        if masked:
            for name in ("masked_lm_prob", "final_masked_lm_prob"):
                if getattr(settings, name) is not None:
                    raise InputError(
                        f"--{name}: the records of --input_file={settings.input_file} have static masks; create them "
                        "with --masking=dynamic"
                    )
        else:
            limit = "unlimited" if max_predictions is None else f"at most {max_predictions}"
            until = f" to {last_prob:g}" if last_prob != first_prob else ""
            logging.info("dynamic masking of %g%s of the coarse tokens, %s per sequence", first_prob, until, limit)
        rule = MaskingSettings.for_tokenizer(
            tokenizer,
            max_seq_length=fine_length,
            max_coarse_seq_length=coarse_length,
            masked_lm_prob=max(first_prob, last_prob),
            max_predictions_per_seq=max_predictions,
            max_coarse_predictions_per_seq=coarse_max,
        )
        # For records with masks, only `max_…_predictions` is used, for static shapes.
        self.options: dict[str, Any] = {"masking": dataclasses.replace(rule, masked_lm_prob=last_prob)}
        self._schedule: dict[str, Any] = {}
        if first_prob != last_prob:
            steps = max(1, settings.num_train_steps - 1)
            self._schedule["masked_lm_prob"] = lambda step: first_prob + (last_prob - first_prob) * tf.cast(
                tf.minimum(step, steps), tf.float64
            ) / float(steps)
        if settings.use_xla:
            self.options.update(
                fine_length=fine_length,
                coarse_length=coarse_length,
                fine_predictions=rule.max_fine_predictions,
                coarse_predictions=rule.max_coarse_predictions,
                drop_remainder=True,
            )

    def training(self, files: Sequence[str], step: int, context: tf.distribute.InputContext) -> tf.data.Dataset:
        """Returns a worker's infinite dataset of batches, one per replica, starting at a step."""
        self._context = context
        return self._training(files, step, context)

    def describe_batch(self, files: Sequence[str], step: int) -> str:
        """Returns the files and numbers of a step's records. Call `training` first."""
        context = self._context
        batches = self._training(files, step, context, numbers_only=True).take(_batches_per_step(context))
        return record_places(files, [number for batch in batches for number in batch.numpy().tolist()])

    def _training(
        self, files: Sequence[str], step: int, context: tf.distribute.InputContext, numbers_only: bool = False
    ) -> tf.data.Dataset:
        return pretraining_dataset(
            files,
            batch_size=context.get_per_replica_batch_size(self.settings.train_batch_size),
            seed=self.settings.random_seed,
            shuffle_buffer=self.settings.shuffle_buffer,
            start_step=step * _batches_per_step(context),
            group_by_length=self.settings.group_by_length,
            input_context=context,
            numbers_only=numbers_only,
            **self.options,
            **self._schedule,
        )

    def evaluation(self, files: Sequence[str]) -> tf.data.Dataset:
        """Returns the batches of held-out records, each record once, in file order."""
        # Keep the last batch, even if it is incomplete.
        return pretraining_dataset(
            files,
            batch_size=self.settings.eval_batch_size,
            seed=self.settings.random_seed,
            shuffle_buffer=0,
            num_epochs=1,
            # Held-out records may have other masks and lengths. Evaluation is not compiled by XLA.
            masking=self.options["masking"],
        )


def _batches_per_step(context: tf.distribute.InputContext) -> int:
    return context.num_replicas_in_sync // context.num_input_pipelines


def find_tokenizer(files: Sequence[str]) -> str:
    """Returns the copy of the tokenizer directory that data creation writes next to the records.

    Raises:
      InputError: there is no copy.
    """
    found = find_copy(files)
    if found is None:
        raise InputError(
            f"--tokenizer_dir is needed: there is no {TOKENIZER_DIRECTORY}/ next to the records of --input_file, which "
            "were written by an older version"
        )
    return found


def read_stats(files: Sequence[str], fingerprint: str, tokenizer_dir: str) -> dict[str, dict[str, Any]]:
    """Returns the contents of the `stats.json` files of records, by path. Older records have none.

    Args:
      files: the record files.
      fingerprint: the fingerprint of the tokenizer in `tokenizer_dir`.
      tokenizer_dir: the tokenizer directory, for error messages.

    Raises:
      InputError: the records were created with another tokenizer, or the size of a file has changed.
    """
    contents: dict[str, dict[str, Any]] = {}
    for directory in sorted({os.path.dirname(name) for name in files}):
        path = os.path.join(directory, STATS_FILE)
        if not exists(path):
            continue
        try:
            with open_input(path) as file:
                stats = parse_json(file.read())
            found = stats.get("tokenizer_fingerprint")
        except (ValueError, AttributeError):
            raise InputError(f"{path}: not a JSON object; recreate the records") from None
        if found and found != fingerprint:
            raise InputError(
                f"{path}: these records were created with another tokenizer (fingerprint {found}) than "
                f"--tokenizer_dir={tokenizer_dir} ({fingerprint})"
            )
        sizes = stats.get("files")
        sizes = sizes if isinstance(sizes, dict) else {}
        for name in files:
            expected = sizes.get(os.path.basename(name)) if os.path.dirname(name) == directory else None
            if expected is not None and (size := file_size(name)) != expected:
                raise InputError(
                    f"{name}: has {size} bytes, but {expected} according to {STATS_FILE} in the same directory; the "
                    "file was truncated or replaced; recreate the records"
                )
        contents[path] = stats
    return contents


def longest_lengths(stats: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Returns the largest `max_seq_length` and `max_coarse_seq_length` in `stats.json` files, if they have them."""
    lengths = {
        name: [each[name] for each in stats.values() if each.get(name)]
        for name in ("max_seq_length", "max_coarse_seq_length")
    }
    return {name: max(values) for name, values in lengths.items() if values}


def _masking_arguments(
    stats: Mapping[str, Mapping[str, Any]], settings: PretrainingSettings, masked: bool
) -> dict[str, Any]:
    """Returns the masking settings of data creation.

    Raises:
      InputError: there are several sets of records with dynamic masking, and their settings differ.
    """
    found: dict[str, Any] = {}
    for name in ("masked_lm_prob", "max_predictions_per_seq", "max_coarse_predictions_per_seq"):
        paths: dict[Any, str] = {}  # one `stats.json` for each value
        for path, content in stats.items():
            arguments = content.get("arguments")
            paths[arguments.get(name) if isinstance(arguments, dict) else None] = path
        flag = name.replace("coarse_", "")  # in pre-training, one flag limits both grains
        if len(paths) > 1 and not masked and getattr(settings, flag) is None:
            shown = " and ".join(f"{value} ({path})" for value, path in paths.items())
            raise InputError(
                f"--input_file={settings.input_file}: the records were created with different {name}: {shown}; choose "
                f"one with --{flag}"
            )
        # With static masks, predictions are padded to this number, so the largest one is needed.
        found[name] = None if None in paths else max(paths, default=None)
    return found
