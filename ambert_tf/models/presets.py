"""Errors of `from_preset` for this project's model directories, which KerasHub does not know."""

import json
import os

from ambert_tf.models.config import MODEL_TYPES


def check_preset(preset: str) -> None:
    """Raises a ValueError if `preset` is a model directory, such as the --output_dir of training."""
    path = os.path.join(str(preset), "config.json")
    if not os.path.isfile(path):
        return  # KerasHub loads it from a hub or raises an error
    try:
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
    except ValueError:
        return
    if isinstance(config, dict) and "registered_name" not in config and config.get("model_type") in MODEL_TYPES:
        raise ValueError(
            "`from_preset()` takes a KerasHub preset, but this is a model directory written by training. Convert it "
            "with `convert_checkpoint.py --from_format=ambert --to_format=keras_hub --input=MODEL_DIR "
            "--output=PRESET`. "
            f"Received: preset={preset}"
        )
