"""Loads a fine-tuned classifier as it runs at inference: in float32, without what the inference leaves out."""

from typing import NamedTuple

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.inference import inference_config, trained_path
from ambert_tf.models.task_config import TaskConfig
from ambert_tf.models.task_models import TaskModel, make_model
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.checkpoints import load_model_directory, restore_variables


class Classifier(NamedTuple):
    """A fine-tuned model with all that a prediction needs; the checkpoint says where it is from."""

    task: TaskConfig
    tokenizer: MultiGrainedTokenizer
    model: TaskModel
    checkpoint: str


def load_classifier(
    model_dir: str, inference: str = "joint", flag: str = "model_dir", tokenizer: MultiGrainedTokenizer | None = None
) -> Classifier:
    """Loads a classifier; prediction and serving both call this.

    Args:
      model_dir: a model directory with `task.json`.
      inference: `joint`; or `fine` or `coarse`, for an AMBERT without the other grain's tables and heads.
      flag: the flag that names the directory, for errors.
      tokenizer: the directory's, where it is loaded already; loading it takes seconds.

    Raises:
      InputError: the directory is no fine-tuned classifier, or its model cannot run so.
    """
    directory = load_model_directory(model_dir, flag)
    task = TaskConfig.read(model_dir, flag)
    config = inference_config(directory.config, inference)
    tokenizer = tokenizer or MultiGrainedTokenizer.load(directory.tokenizer_directory)
    model = make_model(AmbertBackbone.from_model_config(config, dtype="float32"), task)
    restore_variables(model.variables, directory.checkpoint, lambda path: trained_path(directory.config, config, path))
    return Classifier(task, tokenizer, model, directory.checkpoint)
