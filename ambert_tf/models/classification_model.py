"""A model with the heads of eq. (2): what tasks with a prediction a sequence fine-tune, predict with and serve."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.models.backbones import PAD_ID, build_model
from ambert_tf.models.config import ModelConfig
from ambert_tf.models.heads import ClassificationHeads

INFERENCES = ("joint", "fine", "coarse")


EMPTY_CHOICE = -1e9  # logit of a choice that an example does not have


class ClassificationModel(keras.Model):
    """One of the five models with its classification heads.

    Args:
      config: sizes.
      num_classes: logits a head; 1 for regression and multiple choice.
      seed: of the initial weights.
      dtype: Keras' dtype policy; None for Keras' current one.
      static_shapes: compute padding in training too, as XLA's fixed shapes need.
    """

    def __init__(
        self,
        config: ModelConfig,
        num_classes: int,
        seed: int = 0,
        dtype: str | None = None,
        static_shapes: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=kwargs.pop("name", "classification"), dtype=dtype, **kwargs)
        self.config = config
        self.num_classes = num_classes
        self.backbone = build_model(config, dtype=dtype, seed=seed, static_shapes=static_shapes)
        grains = self.backbone.classification_grains
        self.heads = ClassificationHeads(
            config, grains, num_classes, seed=seed, name="classification_heads", dtype=dtype
        )
        self.heads.build()
        self.build()

    def build(self, input_shape: object = None) -> None:
        pass  # the parts are built already, each under its own name

    def call(
        self, inputs: Mapping[str, tf.Tensor], training: bool = False, seed: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Classifies.

        Args:
          inputs: the backbone's: for each grain g `g_input_ids` and `g_segment_ids`, int32 [batch, g_length]; or in
            multiple choice [batch, choices, g_length], a choice that is not there all padding.
          training: whether dropout is on.
          seed: of the dropout, int32 [2].

        Returns:
          Logits, float32 [batch, num_classes], or in multiple choice [batch, choices], by head; `joint` is what a
          prediction takes.
        """
        first = inputs[f"{self.config.grains[0]}_input_ids"]
        if first.shape.rank != 3:
            return self._classify(inputs, training, seed)
        flat = {
            name: tf.reshape(value, [-1, tf.shape(value)[2]]) for name, value in inputs.items() if value.shape.rank == 3
        }
        there = first[:, :, 0] != PAD_ID
        return {
            name: tf.where(there, tf.reshape(values, tf.shape(there)), EMPTY_CHOICE)
            for name, values in self._classify(flat, training, seed).items()
        }

    def _classify(
        self, inputs: Mapping[str, tf.Tensor], training: bool, seed: tf.Tensor | None
    ) -> dict[str, tf.Tensor]:
        sequence_outputs = self.backbone(inputs, training=training, seed=seed)
        pooled = {
            grain: self.backbone.pool(grain, sequence_outputs[grain]) for grain in self.backbone.classification_grains
        }
        return self.heads(pooled, seed=seed if training else None)


def inference_config(config: ModelConfig, inference: str) -> ModelConfig:
    """Returns the configuration of what runs at inference.

    `fine` of an AMBERT is the paper's AMBERT-Single: a BERT on the fine grain that has no coarse table.

    Args:
      config: of the model as trained.
      inference: `joint`, or the only grain that is to run.

    Raises:
      InputError: the model cannot run on that grain alone.
    """
    if inference == "joint":
        return config
    single = {"bert_fine": "fine", "bert_coarse": "coarse"}
    if config.one_sequence:
        raise InputError(
            f"--inference={inference}: an ambert_hybrid reads both grains as one sequence and cannot run on one alone; "
            "use --inference=joint"
        )
    if single.get(config.model_type, inference) != inference:
        raise InputError(f"--inference={inference}: a {config.model_type} has no {inference} grain")
    return dataclasses.replace(config, model_type=f"bert_{inference}")


def trained_path(trained: ModelConfig, running: ModelConfig, path: str) -> str:
    """Returns the name, in the model as trained, of a variable of the model that runs.

    AMBERT's variables have the same names whichever grains use them; AMBERT-Combo has an encoder a grain.

    Args:
      trained: configuration of the model as trained.
      running: configuration of the model that runs, `inference_config` of the other.
      path: the variable's path in the model that runs.
    """
    if trained.model_type == "ambert_combo" and running.model_type != "ambert_combo":
        return path.replace("backbone/", f"backbone/{running.grains[0]}_bert/", 1)
    return path
