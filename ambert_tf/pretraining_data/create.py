"""Creates pre-training data with one of the runners, which write identical files."""

import logging
import re
from typing import Any

from ambert_tf.errors import InputError
from ambert_tf.pretraining_data.creation_settings import CreationSettings
from ambert_tf.pretraining_data.local_runner import create_on_this_machine


def run_create_pretraining_data(settings: CreationSettings) -> None:
    """Creates the data and prints its statistics."""
    stats = create_pretraining_data(settings)
    for name in ("documents", "sequences", "fine_tokens", "coarse_tokens"):
        print(f"{name:<14} {stats[name]:>15,}")
    if stats["sequences"] < settings.num_shards:
        print(
            f"--num_shards={settings.num_shards}: the corpus has only {stats['sequences']} sequences, so some of the "
            "files are empty"
        )


def create_pretraining_data(settings: CreationSettings) -> dict[str, Any]:
    """Writes the records of a corpus as shards, and `stats.json` and `tokenizer/` next to them.

    Returns:
      The contents of `stats.json`.

    Raises:
      InputError: a setting, an input file or the tokenizer is invalid, the corpus contains no usable document, or Beam
        is not installed.
      OSError: the output cannot be written. Partial output is removed, unless `resume` is set.
    """
    settings.validate()
    input_files = settings.source_names(settings.shard_names())
    if settings.runner == "local":
        return create_on_this_machine(settings, input_files)
    logging.disable(logging.WARNING)  # Beam warns about BigQuery's missing client, which is not used
    try:
        from ambert_tf.pretraining_data.beam_runner import create_with_beam
    except ModuleNotFoundError as error:
        raise InputError(
            f"--runner=beam: {error.name} is not installed; install the extra: pip install 'ambert-tf[beam]'"
        ) from None
    finally:
        logging.disable(logging.NOTSET)
    # A comma separates two options only if another option follows; otherwise it is part of a value.
    beam_options = [option for given in settings.beam_options for option in re.split(r",(?=--)", given)]
    return create_with_beam(settings, input_files, beam_options)
