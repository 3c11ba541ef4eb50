"""Errors of `from_preset` that KerasHub cannot give, because it does not know this project's model directories."""

import json
import os

from ambert_tf.models.config import MODEL_TYPES


def check_preset(preset: str) -> None:
    """Raises a ValueError if `preset` is a model directory, such as an --output_dir of training."""
    path = os.path.join(str(preset), "config.json")
    if not os.path.isfile(path):
        return  # KerasHub says what is wrong, or loads it from a hub
    try:
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
    except ValueError:
        return
    if isinstance(config, dict) and "registered_name" not in config and config.get("model_type") in MODEL_TYPES:
        raise ValueError(
            "`from_preset()` takes a KerasHub preset, but this is a model directory, as training writes it. Convert it "
            "with `convert_checkpoint.py --from_format=ambert --to_format=keras_hub --input=MODEL_DIR "
            "--output=PRESET`. "
            f"Received: preset={preset}"
        )
