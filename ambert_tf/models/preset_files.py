"""The files of a KerasHub preset, and the error of `from_preset` for a model directory."""

import json
import os
from typing import Any

from ambert_tf.models.config import MODEL_TYPES, ModelConfig
from ambert_tf.presets import CONFIG_FILE, TASK_FILE

BACKBONE_NAME = "ambert_tf>AmbertBackbone"
MASKED_LM_NAME = "ambert_tf>AmbertMaskedLM"


def preset_config(path: str) -> ModelConfig | None:
    """Returns the configuration of a preset of `AmbertBackbone`, or None if the directory is not one."""
    content = _json_object(os.path.join(path, CONFIG_FILE))
    if content.get("registered_name") != BACKBONE_NAME:
        return None
    return ModelConfig.from_keras(content["config"]).validate(path)


def preset_task_name(path: str) -> str | None:
    """Returns the registered name of a preset's task class, or None for a backbone alone."""
    return _json_object(os.path.join(path, TASK_FILE)).get("registered_name")


def check_preset(preset: str) -> None:
    """Raises a ValueError if `preset` is a model directory, such as the --output_dir of training."""
    config = _json_object(os.path.join(str(preset), CONFIG_FILE))
    if "registered_name" not in config and config.get("model_type") in MODEL_TYPES:
        raise ValueError(
            "`from_preset()` takes a KerasHub preset, but this is a model directory written by training. Convert it "
            "with `convert_checkpoint.py --from_format=ambert --to_format=keras_hub --input=MODEL_DIR "
            "--output=PRESET`. "
            f"Received: preset={preset}"
        )


def _json_object(path: str) -> dict[str, Any]:
    """Returns a JSON object, or an empty one if the file is missing or something else; KerasHub reports that."""
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
