"""Loads a fine-tuned classifier as it runs at inference: in float32, without what the inference leaves out."""

from typing import NamedTuple

from ambert_tf.models.classification_model import ClassificationModel, inference_config, trained_path
from ambert_tf.models.config import ModelConfig
from ambert_tf.models.span_model import SpanModel
from ambert_tf.models.task_config import SPANS, TaskConfig
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.checkpoints import load_model_directory, restore_variables


class Classifier(NamedTuple):
    """A fine-tuned model with all that a prediction needs; the checkpoint says where it is from."""

    task: TaskConfig
    tokenizer: MultiGrainedTokenizer
    model: ClassificationModel | SpanModel
    checkpoint: str


def make_model(
    config: ModelConfig, task: TaskConfig, seed: int = 0, dtype: str | None = None, static_shapes: bool = False
) -> ClassificationModel | SpanModel:
    """Returns the model with new weights that a task of this form takes.

    Args:
      config: sizes.
      task: says the form and the labels.
      seed: of the weights.
      dtype: Keras' dtype policy.
      static_shapes: compute padding in training too, as XLA's fixed shapes need.
    """
    if task.form == SPANS:
        return SpanModel(config, seed, dtype, static_shapes)
    return ClassificationModel(config, task.num_outputs, seed, dtype, static_shapes)


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
    model = make_model(config, task, dtype="float32")
    restore_variables(model.variables, directory.checkpoint, lambda path: trained_path(directory.config, config, path))
    return Classifier(task, tokenizer, model, directory.checkpoint)
