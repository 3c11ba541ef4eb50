"""The models of benchmarks/study.py: their names, types and directories, checked before hours of pre-training."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ambert_tf.errors import InputError
from ambert_tf.models.config import PRESETS, ModelConfig
from ambert_tf.models.task_config import CLASSIFICATION, MULTIPLE_CHOICE, REGRESSION, SEQUENCE_LABELLING

MODELS = ("bert_fine", "bert_coarse", "ambert", "ambert_combo", "ambert_hybrid")
EQUAL_COMPUTE = "bert_fine, equal compute"
_TF_IDF, _CRF = "tf-idf + logistic regression", "CRF over n-grams"
BASELINES = {CLASSIFICATION: _TF_IDF, REGRESSION: _TF_IDF, MULTIPLE_CHOICE: _TF_IDF, SEQUENCE_LABELLING: _CRF}


class PretrainedModel(NamedTuple):
    """A model of --pretrained: its directory, or the name of a preset, and its model type."""

    directory: str
    model_type: str


def located(path: str | None) -> str:
    """Returns the absolute path of a file or directory, because commands run elsewhere, or a preset's name."""
    return os.path.abspath(path) if path and os.path.exists(path) else path or ""


def hidden_size(config: str) -> int:
    """Returns the hidden size of --config.

    Raises:
      InputError: it is neither a preset nor a file.
    """
    if config in PRESETS:
        return PRESETS[config]["hidden_size"]
    if not os.path.exists(config):
        raise InputError(f"--config={config}: is neither a file nor one of the presets {', '.join(PRESETS)}")
    return ModelConfig.from_file(config).hidden_size


def pretrained_models(entries: Sequence[str], own: Iterable[str]) -> dict[str, PretrainedModel]:
    """Returns the models of --pretrained by name.

    Args:
      entries: the values of the flag, NAME=DIRECTORY or NAME.
      own: the names of the models that the study pre-trains.

    Raises:
      InputError: a name is used twice, or a directory is not that of a pre-trained model.
    """
    models: dict[str, PretrainedModel] = {}
    if not entries:
        return models
    from ambert_tf.conversion.initial import is_bert  # imports TensorFlow
    from ambert_tf.training.checkpoints import load_model_directory

    for entry in entries:
        name, _, directory = entry.partition("=")
        if not name:
            raise InputError(f"--pretrained={entry}: must be NAME=DIRECTORY or NAME")
        if name in models or name in own:
            whose = "another of --pretrained" if name in models else "a model that the study pre-trains (--models)"
            raise InputError(f"--pretrained={entry}: {name} is also the name of {whose}; choose another NAME=DIRECTORY")
        path = located(directory or name)
        model_type = "bert_fine" if is_bert(path) else load_model_directory(path, "pretrained").config.model_type
        models[name] = PretrainedModel(path, model_type)
    return models


def reported_names(types: Mapping[str, str], forms: Iterable[str]) -> list[str]:
    """Returns the names in the report: of models, of AMBERT-Single, and of the baselines.

    Args:
      types: the model type of each model that is fine-tuned.
      forms: the forms of the tasks.
    """
    single = [f"{name}, fine alone" for name, model_type in types.items() if model_type == "ambert"]
    return [*types, *single, *dict.fromkeys(BASELINES[form] for form in forms if form in BASELINES)]


def check_references(references: Iterable[str], names: Sequence[str]) -> None:
    """Raises an InputError for a value of --reference that is not among the names in the report."""
    for reference in references:
        if reference not in names:
            raise InputError(
                f"--reference={reference}: unknown model; the models are {'; '.join(names)}; repeat the flag for each"
            )
