"""KerasHub presets: conversion of model directories to presets and back, and import of KerasHub's own BERT presets."""

import json
import os
from typing import Any

import h5py
import keras
import keras_hub
import numpy as np

from ambert_tf.conversion.bert import Bert, collect_weights, fit_vocab
from ambert_tf.conversion.parameters import Parameter
from ambert_tf.errors import InputError
from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_masked_lm import PRETRAINING_HEADS, AmbertMaskedLM
from ambert_tf.models.ambert_masked_lm_preprocessor import AmbertMaskedLMPreprocessor
from ambert_tf.models.ambert_tokenizer import AmbertTokenizer
from ambert_tf.models.config import ModelConfig
from ambert_tf.models.task_config import TaskConfig
from ambert_tf.models.task_models import keras_task, task_of_keras_model
from ambert_tf.outputs import atomic_path
from ambert_tf.training.checkpoints import Checkpoints, prepare_model_directory, variable_reader
from ambert_tf.training.loaded_model import load_model


def write_preset(model_dir: str, directory: str, half_precision: bool = False) -> None:
    """Writes a model directory as a preset of its task, or of `AmbertMaskedLM` if it was only pre-trained.

    Args:
      model_dir: the model directory.
      directory: the preset directory, which must exist.
      half_precision: whether to store the weights in float16. They are loaded in the dtype of the model.

    Raises:
      InputError: `model_dir` is not a model directory.
    """
    loaded = load_model(model_dir, flag="input")
    tokenizer = AmbertTokenizer(loaded.tokenizer)
    if loaded.task is not None:
        task = keras_task(loaded.model, loaded.task, tokenizer)
    else:
        read = variable_reader(loaded.checkpoint)
        task = AmbertMaskedLM(
            loaded.backbone,
            next_sentence=read("next_sentence_head/kernel") is not None,
            preprocessor=AmbertMaskedLMPreprocessor(tokenizer, loaded.config.max_position_embeddings),
        )
        for variable in task.weights:
            value = read(variable.path) if variable.path.startswith(PRETRAINING_HEADS) else None
            if value is not None:
                variable.assign(value)
    task.save_to_preset(directory)
    if half_precision:
        for name in os.listdir(directory):
            if name.endswith(".weights.h5"):
                _to_float16(os.path.join(directory, name))


def _to_float16(path: str) -> None:
    """Rewrites a weights file of Keras with float16 values."""
    with h5py.File(path) as source, atomic_path(path) as temporary, h5py.File(temporary, "w") as target:

        def copy(name: str, part: h5py.Group | h5py.Dataset) -> None:
            if isinstance(part, h5py.Dataset):
                dtype = np.float16 if part.dtype.kind == "f" else part.dtype
                copied = target.create_dataset(name, data=part[()].astype(dtype))
            else:
                copied = target.require_group(name)
            copied.attrs.update(part.attrs)

        source.visititems(copy)
        target.attrs.update(source.attrs)


def write_model_directory(preset: str, directory: str) -> None:
    """Writes a preset of this project's classes as a model directory, with `task.json` if it has a task.

    Raises:
      InputError: the preset has no tokenizer, or a task that a model directory cannot express.
    """
    task_path = os.path.join(preset, "task.json")
    model: Any
    if os.path.isfile(task_path):
        with open(task_path, encoding="utf-8") as file:
            task_class = keras.saving.get_registered_object(json.load(file)["registered_name"])
        model = task_class.from_preset(preset, dtype="float32")
        backbone, preprocessor = model.backbone, model.preprocessor
    else:
        model = backbone = AmbertBackbone.from_preset(preset, dtype="float32")
        preprocessor = None
    try:
        tokenizer = (preprocessor or AmbertMaskedLMPreprocessor.from_preset(preset)).tokenizer.tokenizer
    except (FileNotFoundError, ValueError) as error:
        raise InputError(f"--input={preset}: has no tokenizer, which a model directory needs ({error})") from None
    try:
        task_of_keras_model(model)
    except ValueError as error:
        raise InputError(f"--input={preset}: {error}") from None
    save_model_directory(model, backbone.config, tokenizer, directory)


def save_model_directory(model: Any, config: ModelConfig, tokenizer: Any, directory: str) -> None:
    """Writes a Keras model, such as one trained by `fit`, as a model directory."""
    task: TaskConfig | None = task_of_keras_model(model)
    prepare_model_directory(directory, config, tokenizer)
    if task is not None:
        task.write(directory)
    Checkpoints(directory, model, {}).save(0)


def read_keras_hub_bert(path: str, do_lower_case: bool | None = None, flag: str = "input") -> Bert:
    """Reads a preset of KerasHub's `BertBackbone` with its tokenizer.

    Args:
      path: a local directory, or a handle such as `hf://USER/MODEL` or `kaggle://…`.
      do_lower_case: whether the model is uncased. Defaults to the tokenizer's setting.
      flag: the flag that named the path, for error messages.

    Raises:
      InputError: the path is not such a preset.
    """
    try:
        backbone = keras_hub.models.BertBackbone.from_preset(path, dtype="float32")
        tokenizer = keras_hub.models.BertTokenizer.from_preset(path)
    except (FileNotFoundError, ValueError, ImportError) as error:
        raise InputError(f"--{flag}={path}: is not a preset of KerasHub's BertBackbone: {error}") from None
    config = ModelConfig(
        vocab_size=backbone.vocabulary_size,
        model_type="bert_fine",
        hidden_size=backbone.hidden_dim,
        num_hidden_layers=backbone.num_layers,
        num_attention_heads=backbone.num_heads,
        intermediate_size=backbone.intermediate_dim,
        hidden_act="gelu_new",  # KerasHub's BERT uses the tanh approximation of GELU
        hidden_dropout_prob=backbone.dropout,
        attention_probs_dropout_prob=backbone.dropout,
        max_position_embeddings=backbone.max_sequence_length,
        type_vocab_size=backbone.num_segments,
    ).validate(path)
    values = {name: np.asarray(variable) for name, variable in keras_hub_variables(backbone).items()}

    def find(parameter: Parameter) -> np.ndarray | None:
        value = values.get(parameter.path)
        return None if value is None else value.reshape(parameter.shape)

    weights = collect_weights(config, find, lambda parameter: parameter.path, path)
    lower = tokenizer.lowercase if do_lower_case is None else do_lower_case
    vocab = list(tokenizer.get_vocabulary())
    return fit_vocab(Bert(config, weights, None, lower, path), vocab, path)


def keras_hub_variables(backbone: Any) -> dict[str, Any]:
    """Returns the variables of KerasHub's `BertBackbone` by our paths. In KerasHub, attention has a heads axis."""
    found: dict[str, Any] = {}

    def add(layer: Any, path: str, *names: str) -> None:
        found.update({f"backbone/{path}/{name}": getattr(layer, name) for name in names})

    found["backbone/embeddings/fine_token_embeddings"] = backbone.token_embedding.embeddings
    found["backbone/embeddings/position_embeddings"] = backbone.position_embedding.position_embeddings
    found["backbone/embeddings/segment_embeddings"] = backbone.segment_embedding.embeddings
    add(backbone.embeddings_layer_norm, "embeddings/layer_norm", "gamma", "beta")
    add(backbone.pooled_dense, "pooler", "kernel", "bias")
    for index, layer in enumerate(backbone.transformer_layers):
        ours, attention = f"encoder/layer_{index}", layer._self_attention_layer
        for name in ("query", "key", "value", "output"):
            add(getattr(attention, f"_{name}_dense"), f"{ours}/attention/{name}", "kernel", "bias")
        add(layer._self_attention_layer_norm, f"{ours}/attention_layer_norm", "gamma", "beta")
        add(layer._feedforward_layer_norm, f"{ours}/output_layer_norm", "gamma", "beta")
        add(layer._feedforward_intermediate_dense, f"{ours}/intermediate", "kernel", "bias")
        add(layer._feedforward_output_dense, f"{ours}/output", "kernel", "bias")
    return found
