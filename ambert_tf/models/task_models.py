"""The model that a task of each form fine-tunes, predicts with and serves."""

from typing import TypeAlias

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_multiple_choice import AmbertMultipleChoice
from ambert_tf.models.ambert_span_extractor import AmbertSpanExtractor
from ambert_tf.models.ambert_text_classifier import AmbertTextClassifier
from ambert_tf.models.task_config import MULTIPLE_CHOICE, SPANS, TaskConfig

TaskModel: TypeAlias = AmbertTextClassifier | AmbertMultipleChoice | AmbertSpanExtractor


def make_model(backbone: AmbertBackbone, task: TaskConfig) -> TaskModel:
    """Returns the model that a task of this form takes, with new heads on a backbone."""
    if task.form == SPANS:
        return AmbertSpanExtractor(backbone, compile=False)
    if task.form == MULTIPLE_CHOICE:
        return AmbertMultipleChoice(backbone, compile=False)
    return AmbertTextClassifier(backbone, task.num_outputs, compile=False)
