"""Loads a model directory for inference, in float32 and without the parts that `--inference` omits."""

import os
from typing import NamedTuple

from ambert_tf.errors import InputError
from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.config import ModelConfig
from ambert_tf.models.inference import inference_config, trained_path
from ambert_tf.models.task_config import TaskConfig, is_fine_tuned
from ambert_tf.models.task_models import TaskModel, make_model
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.checkpoints import load_model_directory, restore_backbone, restore_variables


class LoadedModel(NamedTuple):
    """A model with its tokenizer.

    Attributes:
      name: model type and directory, for tables and figures.
      model: the model with the task's heads, or a backbone if there is no task.
      tokenizer: the model's tokenizer.
      task: the task that the model was fine-tuned on, or None.
      checkpoint: prefix of the checkpoint with the weights.
    """

    name: str
    model: TaskModel | AmbertBackbone
    tokenizer: MultiGrainedTokenizer
    task: TaskConfig | None
    checkpoint: str

    @property
    def backbone(self) -> AmbertBackbone:
        """The model without heads."""
        return self.model if isinstance(self.model, AmbertBackbone) else self.model.backbone

    @property
    def config(self) -> ModelConfig:
        """The configuration of the model that runs at inference."""
        return self.model.config


def load_model(
    model_dir: str,
    inference: str = "joint",
    flag: str = "model_dir",
    tokenizer: MultiGrainedTokenizer | None = None,
    task: bool | None = None,
) -> LoadedModel:
    """Loads a model directory.

    Args:
      model_dir: directory of a pre-trained or fine-tuned model.
      inference: `joint`, or `fine` or `coarse` for a model without the other grain's embeddings and heads.
      flag: the flag that named the directory, for error messages.
      tokenizer: the directory's tokenizer, if it is already loaded. Loading takes seconds.
      task: True for a fine-tuned model with its heads, False for the backbone alone, None to load heads if there are
        any.

    Raises:
      InputError: the directory is not a model directory, has no task, or its model does not support `inference`.
    """
    directory = load_model_directory(model_dir, flag)
    if task is None:
        task = is_fine_tuned(model_dir)
    task_config = TaskConfig.read(model_dir, flag) if task else None
    config = inference_config(directory.config, inference)
    if task_config is None and inference != "joint":
        raise InputError(f"--{flag}={model_dir}: has no task; --inference={inference} is for fine-tuned models")
    backbone = AmbertBackbone.from_model_config(config, dtype="float32")
    model: TaskModel | AmbertBackbone = backbone
    tokenizer = tokenizer or MultiGrainedTokenizer.load(directory.tokenizer_directory)
    if task_config is None:
        restore_backbone(model, model_dir, flag)
    else:
        model = make_model(backbone, task_config)
        restore_variables(
            model.variables, directory.checkpoint, lambda path: trained_path(directory.config, config, path)
        )
    name = f"{directory.config.model_type} ({os.path.basename(os.path.abspath(model_dir))})"
    return LoadedModel(name, model, tokenizer, task_config, directory.checkpoint)
