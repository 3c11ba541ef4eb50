"""The model of each task form, used in fine-tuning, prediction and serving."""

import dataclasses
from typing import Any, TypeAlias

import keras

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_multiple_choice import AmbertMultipleChoice
from ambert_tf.models.ambert_multiple_choice_preprocessor import AmbertMultipleChoicePreprocessor
from ambert_tf.models.ambert_span_extractor import AmbertSpanExtractor
from ambert_tf.models.ambert_span_extractor_preprocessor import AmbertSpanExtractorPreprocessor
from ambert_tf.models.ambert_text_classifier import AmbertTextClassifier
from ambert_tf.models.ambert_text_classifier_preprocessor import AmbertTextClassifierPreprocessor
from ambert_tf.models.ambert_token_classifier import AmbertTokenClassifier
from ambert_tf.models.ambert_token_classifier_preprocessor import AmbertTokenClassifierPreprocessor
from ambert_tf.models.ambert_tokenizer import AmbertTokenizer
from ambert_tf.models.task_config import (
    CLASSIFICATION,
    MULTIPLE_CHOICE,
    REGRESSION,
    SEQUENCE_LABELLING,
    SPANS,
    TaskConfig,
)

TASK_MODELS = (AmbertTextClassifier, AmbertMultipleChoice, AmbertSpanExtractor, AmbertTokenClassifier)
# `TaskConfig` fields that are not arguments of the model or preprocessor classes.
DETAILS = ("task_name", "label_descriptions", "data_augmentation", "choices")
TaskModel: TypeAlias = AmbertTextClassifier | AmbertMultipleChoice | AmbertSpanExtractor | AmbertTokenClassifier


def make_model(backbone: AmbertBackbone, task: TaskConfig) -> TaskModel:
    """Returns the model for a task, with randomly initialized heads on the given backbone."""
    if task.form == SPANS:
        return AmbertSpanExtractor(backbone, compile=False)
    if task.form == SEQUENCE_LABELLING:
        return AmbertTokenClassifier(
            backbone,
            task.labels,
            scheme=task.tagging_scheme,
            outside=task.outside,
            crf=task.crf,
            compile=False,
        )
    if task.form == MULTIPLE_CHOICE:
        return AmbertMultipleChoice(backbone, compile=False)
    return AmbertTextClassifier(backbone, task.num_outputs, compile=False)


def keras_task(model: TaskModel, task: TaskConfig, tokenizer: AmbertTokenizer) -> TaskModel:
    """Returns a compiled model with a preprocessor, which takes raw inputs and shares the given backbone and heads.

    Args:
      model: a model from `make_model`.
      task: the task that it was fine-tuned on.
      tokenizer: the model's tokenizer.
    """
    lengths: dict[str, Any] = {
        "sequence_length": task.max_seq_length,
        "coarse_sequence_length": task.max_coarse_seq_length,
    }
    backbone = model.backbone
    details = {name: getattr(task, name) for name in DETAILS}
    made: TaskModel
    if isinstance(model, AmbertSpanExtractor):
        made = AmbertSpanExtractor(
            backbone,
            AmbertSpanExtractorPreprocessor(
                tokenizer, doc_stride=task.doc_stride, max_query_length=task.max_query_length, **lengths
            ),
            max_answer_length=task.max_answer_length,
            null_answers=task.null_answers,
            n_best_size=task.n_best_size,
            null_score_diff_threshold=task.null_score_diff_threshold,
            task_details=details,
        )
    elif isinstance(model, AmbertTokenClassifier):
        tags: dict[str, Any] = {"labels": task.labels, "scheme": task.tagging_scheme, "outside": task.outside}
        made = AmbertTokenClassifier(
            backbone,
            preprocessor=AmbertTokenClassifierPreprocessor(tokenizer, doc_stride=task.doc_stride, **tags, **lengths),
            crf=task.crf,
            task_details=details,
            **tags,
        )
    elif isinstance(model, AmbertMultipleChoice):
        preprocessor = AmbertMultipleChoicePreprocessor(tokenizer, inputs=task.inputs, **lengths)
        made = AmbertMultipleChoice(backbone, preprocessor, task_details=details)
    else:
        preprocessor = AmbertTextClassifierPreprocessor(tokenizer, pair=task.pair, inputs=task.inputs, **lengths)
        made = AmbertTextClassifier(
            backbone,
            task.num_outputs,
            preprocessor,
            labels=task.labels or None,
            score_range=task.score_range,
            task_details=details,
        )
    for variable, value in zip(made.heads.weights, model.heads.weights, strict=True):
        variable.assign(value)
    return made


def _check_activation(model: AmbertTextClassifier | AmbertMultipleChoice) -> None:
    scores = isinstance(model, AmbertTextClassifier) and model.num_classes == 1
    known = (keras.activations.linear, *([] if scores else [keras.activations.softmax]))
    if model.activation not in known:
        predicts = "the score without an activation" if scores else "the softmax of the classes or choices"
        raise ValueError(
            f"A model directory or SavedModel predicts {predicts}. Received: {type(model).__name__} with "
            f"activation={keras.activations.serialize(model.activation)!r}"
        )


def task_of_keras_model(model: Any) -> TaskConfig | None:
    """Returns the contents of `task.json` for a model with a preprocessor, or None for a backbone or masked LM.

    Raises:
      ValueError: the model has no preprocessor, or an activation that `task.json` cannot express.
    """
    preprocessor = getattr(model, "preprocessor", None)
    if not isinstance(model, TASK_MODELS):
        return None
    if preprocessor is None:
        raise ValueError(
            f"This {type(model).__name__} has no preprocessor, which defines its inputs. Set `preprocessor`."
        )
    details = {"task_name": "keras_hub", **model.task_details}
    words = tuple(details.pop("label_descriptions", ()))
    task = dataclasses.replace(preprocessor.task, **details)
    if isinstance(model, AmbertSpanExtractor):
        return dataclasses.replace(task, **model.decoding())
    if isinstance(model, AmbertTokenClassifier):
        return dataclasses.replace(task, crf=model.crf)
    if isinstance(model, AmbertTextClassifier):
        _check_activation(model)
        if model.num_classes == 1:
            return dataclasses.replace(task, form=REGRESSION, score_range=model.score_range)
        labels = model.labels or tuple(map(str, range(model.num_classes)))
        words = words if len(words) == len(labels) else ()  # they describe other labels
        return dataclasses.replace(task, form=CLASSIFICATION, labels=tuple(labels), label_descriptions=words)
    if isinstance(model, AmbertMultipleChoice):
        _check_activation(model)
    return task
