"""Who creates pre-training data: this machine, or Apache Beam on one machine or a cluster."""

import re
from collections.abc import Sequence
from typing import Any

from ambert_tf.errors import InputError
from ambert_tf.pretraining_data.create import create_pretraining_data
from ambert_tf.pretraining_data.options import CreateOptions

RUNNERS = ("local", "beam")


def run(options: CreateOptions, runner: str = "local", beam_options: Sequence[str] = ()) -> dict[str, Any]:
    """Creates pre-training data; see `create_pretraining_data`, which any runner makes the same files as.

    Args:
      options: of data creation.
      runner: one of `RUNNERS`.
      beam_options: flags of the Beam pipeline; several may stand in one string, commas between.

    Returns:
      The content of `stats.json`.

    Raises:
      InputError: see there; or Beam is not installed.
    """
    if runner not in RUNNERS:
        raise InputError(f"--runner={runner}: must be one of {', '.join(RUNNERS)}")
    if runner == "local":
        if beam_options:
            raise InputError(f"--beam_options={','.join(beam_options)}: is for --runner=beam")
        return create_pretraining_data(options)
    try:
        from ambert_tf.pretraining_data.beam import create_with_beam
    except ModuleNotFoundError as error:
        raise InputError(
            f"--runner=beam: {error.name} is not installed; give this package its extra: pip install -e '.[beam]'"
        ) from None
    # A comma ends a flag where another one begins; others are part of its value.
    return create_with_beam(options, [flag for given in beam_options for flag in re.split(r",(?=--)", given)])
