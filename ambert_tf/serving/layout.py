"""Additional files of an export: a machine-readable description, and warm-up requests for TensorFlow Serving."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.files import is_file, parse_json, read_bytes
from ambert_tf.models.config import ModelConfig
from ambert_tf.models.task_config import TaskConfig
from ambert_tf.outputs import atomic_path

EXTRA_DIRECTORY = "assets.extra"
FACTS_FILE = "ambert.json"
# The file name expected by TensorFlow Serving.
WARMUP_FILE = "tf_serving_warmup_requests"
WARMUP_BATCHES = (1, 8, 32)


@dataclasses.dataclass(frozen=True)
class Facts:
    """Machine-readable description of an export.

    Attributes:
      task: the task, or None for a model without a task.
      config: the configuration of the model that runs at inference.
      inference: `joint`, `fine` or `coarse`.
      language: the tokenizer's language.
      signatures: names of the inputs by signature, in order.
    """

    task: TaskConfig | None
    config: ModelConfig
    inference: str
    language: str
    signatures: Mapping[str, Sequence[str]]

    def write(self, saved_model: str) -> None:
        """Writes the description into an export."""
        directory = os.path.join(saved_model, EXTRA_DIRECTORY)
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, FACTS_FILE), "w", encoding="utf-8") as file:
            json.dump(dataclasses.asdict(self), file, indent=2, ensure_ascii=False)
            file.write("\n")

    @classmethod
    def read(cls, saved_model: str) -> "Facts":
        """Reads the description of an export.

        Raises:
          InputError: the export has no description, or an invalid one.
        """
        path = os.path.join(saved_model, EXTRA_DIRECTORY, FACTS_FILE)
        if not is_file(path):
            raise InputError(
                f"{saved_model}: has no {EXTRA_DIRECTORY}/{FACTS_FILE}, so it is not an export of export_saved_model.py"
            )
        try:
            content = parse_json(read_bytes(path))
            if content["task"] is not None:
                content["task"] = TaskConfig.from_dict(content["task"])
            content["config"] = ModelConfig.from_dict(content["config"], path)
            content.pop("weights_dtype", None)  # written by older versions
            return cls(**content)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: not a valid {FACTS_FILE} ({error})") from None


def write_warmup_requests(
    saved_model: str,
    model_name: str,
    signature: str,
    columns: Mapping[str, Sequence[Any]],
    dtypes: Mapping[str, tf.DType],
) -> int:
    """Writes warm-up requests for TensorFlow Serving and returns their number.

    The requests are `PredictionLog`s in a TFRecord file, with batches of 1, 8 and 32.

    Args:
      saved_model: its directory.
      model_name: name of the served model.
      signature: name of the signature to call.
      columns: values by input.
      dtypes: dtypes by input.

    Raises:
      InputError: the package tensorflow-serving-api is missing.
    """
    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ImportError:
        raise InputError(
            "--version: warm-up requests need the package tensorflow-serving-api; pip install '.[serving]' in a "
            "checkout of ambert-tf"
        ) from None
    directory = os.path.join(saved_model, EXTRA_DIRECTORY)
    os.makedirs(directory, exist_ok=True)
    count = len(next(iter(columns.values())))
    with (
        atomic_path(os.path.join(directory, WARMUP_FILE)) as temporary,
        tf.io.TFRecordWriter(temporary) as writer,
    ):
        for size in WARMUP_BATCHES:
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name = model_name
            request.model_spec.signature_name = signature
            for name, values in columns.items():
                rows = [values[index % count] for index in range(size)]
                numbers = np.array(rows, np.int32) if dtypes[name] == tf.int32 else np.array(rows, object)
                request.inputs[name].CopyFrom(tf.make_tensor_proto(numbers, dtypes[name]))
            writer.write(log.SerializeToString())
    return len(WARMUP_BATCHES)
