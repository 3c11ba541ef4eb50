"""`--inference`: which part of a fine-tuned model runs at inference."""

import dataclasses

from ambert_tf.errors import InputError
from ambert_tf.models.config import ModelConfig

INFERENCES = ("joint", "fine", "coarse")


def inference_config(config: ModelConfig, inference: str) -> ModelConfig:
    """Returns the configuration of the model that runs at inference.

    AMBERT with `fine` is the paper's AMBERT-Single: a BERT on the fine grain, without the coarse embeddings.

    Args:
      config: the configuration of the trained model.
      inference: `joint`, or the only grain to run.

    Raises:
      InputError: the model cannot run on the given grain alone.
    """
    if inference not in INFERENCES:
        raise InputError(f"--inference={inference}: must be one of {', '.join(INFERENCES)}")
    if inference == "joint":
        return config
    single = {"bert_fine": "fine", "bert_coarse": "coarse"}
    if config.one_sequence:
        raise InputError(
            f"--inference={inference}: ambert_hybrid reads both grains as one sequence and cannot run on one grain; "
            "use --inference=joint"
        )
    if single.get(config.model_type, inference) != inference:
        raise InputError(f"--inference={inference}: {config.model_type} has no {inference} grain")
    return dataclasses.replace(config, model_type=f"bert_{inference}")


def trained_path(trained: ModelConfig, running: ModelConfig, path: str) -> str:
    """Maps the path of a variable in the inference model to its path in the trained model.

    The paths are the same in all models except AMBERT-Combo, which has one encoder per grain.

    Args:
      trained: the configuration of the trained model.
      running: the configuration of the inference model, from `inference_config`.
      path: the variable's path in the inference model.
    """
    if trained.model_type == "ambert_combo" and running.model_type != "ambert_combo":
        return path.replace("backbone/", f"backbone/{running.grains[0]}_bert/", 1)
    return path
