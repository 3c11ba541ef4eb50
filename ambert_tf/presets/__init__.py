"""The pre-trained models in this package. A folder is a KerasHub preset, and its name is accepted like a path."""

import os

DIRECTORY = os.path.dirname(os.path.abspath(__file__))
# Files and directories of a KerasHub preset.
CONFIG_FILE = "config.json"
TASK_FILE = "task.json"
WEIGHTS_FILE = "model.weights.h5"
TOKENIZER_ASSETS = os.path.join("assets", "tokenizer")


def built_in_presets() -> dict[str, str]:
    """Returns the directories of the presets in this package, by name."""
    found = {name: os.path.join(DIRECTORY, name) for name in sorted(os.listdir(DIRECTORY))}
    return {name: path for name, path in found.items() if os.path.isfile(os.path.join(path, CONFIG_FILE))}


def preset_path(path: str) -> str:
    """Returns the directory of a preset in this package, given its name. Other paths are returned unchanged."""
    return path if os.path.exists(path) else built_in_presets().get(path, path)
