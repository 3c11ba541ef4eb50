"""Loads a SavedModel in a process that has only tensorflow and tensorflow_text, and compares it with its checkpoint."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ambert_tf.errors import InputError, one_line
from ambert_tf.tokenization.model_inputs import build_model_inputs, pad_model_inputs
from ambert_tf.training.classifiers import Classifier

TOLERANCE = 1e-5

TEXTS = (
    "服务很好,下次还来",
    "The parcel arrived on time, thank you.",
    "😀👍 笑死我了",
    "iPhone 15 Pro Max 256GB 只要 5999 元",
    "ＡＢＣ１２３，全角文字！",
    "",
    " \t\n",
    "南京市长江大桥" * 200,
)

# The script of the other process. It takes a SavedModel, a file of inputs and a file for the outputs.
CLIENT = """
import json, sys
sys.modules["ambert_tf"] = None  # import ambert_tf now fails
import tensorflow as tf
import tensorflow_text
saved_model, inputs, outputs = sys.argv[1:]
signature = tf.saved_model.load(saved_model).signatures["serving_default"]
with open(inputs, encoding="utf-8") as file:
    columns = json.load(file)
result = signature(**{name: tf.constant(texts, tf.string) for name, texts in columns.items()})
with open(outputs, "w", encoding="utf-8") as file:
    json.dump({
        "probabilities": result["probabilities"].numpy().tolist(),
        "label": [label.decode() for label in result["label"].numpy()],
    }, file)
"""


def ask_saved_model(saved_model: str, columns: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Asks a SavedModel in a process of its own, in which `import ambert_tf` fails.

    Args:
      saved_model: its directory.
      columns: texts by the signature's input.

    Returns:
      `probabilities`, float32 [batch, classes], and `label`, a list of strings.

    Raises:
      InputError: the process fails; the message has the end of what it said.
    """
    with tempfile.TemporaryDirectory() as directory:
        inputs, outputs = (os.path.join(directory, name) for name in ("inputs.json", "outputs.json"))
        with open(inputs, "w", encoding="utf-8") as file:
            json.dump({name: list(texts) for name, texts in columns.items()}, file)
        # -I: no current directory and no PYTHONPATH to import from.
        command = [sys.executable, "-I", "-c", CLIENT, os.path.abspath(saved_model), inputs, outputs]
        process = subprocess.run(command, capture_output=True, text=True, cwd=directory)
        if process.returncode:
            raise InputError(
                f"{saved_model}: cannot be loaded and run with tensorflow and tensorflow_text alone: "
                f"{one_line(RuntimeError(process.stderr[-500:]))}"
            )
        with open(outputs, encoding="utf-8") as file:
            result = json.load(file)
    return {"probabilities": np.array(result["probabilities"], np.float32), "label": result["label"]}


def checkpoint_probabilities(classifier: Classifier, columns: Mapping[str, Sequence[str]]) -> np.ndarray:
    """Returns the probabilities that the checkpoint gives, float32 [batch, classes]."""
    task = classifier.task
    inputs = build_model_inputs(
        classifier.tokenizer,
        *(tf.constant(texts, tf.string) for texts in columns.values()),
        max_seq_length=task.max_seq_length,
        max_coarse_seq_length=task.max_coarse_seq_length,
    )
    return tf.nn.softmax(classifier.model(pad_model_inputs(inputs), training=False)["joint"]).numpy()


def check_saved_model(saved_model: str, classifier: Classifier) -> float:
    """Returns the largest difference between a SavedModel's and its checkpoint's probabilities, on texts of all kinds.

    Raises:
      InputError: it cannot be run, or differs by more than 1e-5.
    """
    columns = {"text": TEXTS}
    if classifier.task.pair:
        columns["text_pair"] = TEXTS[::-1]
    expected = checkpoint_probabilities(classifier, columns)
    found = ask_saved_model(saved_model, columns)
    difference = float(np.abs(found["probabilities"] - expected).max())
    if not difference <= TOLERANCE:
        raise InputError(f"{saved_model}: its probabilities differ from the checkpoint's by {difference:.1e}")
    return difference
