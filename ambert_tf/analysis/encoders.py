"""Loads encoders with their tokenizers from model directories, and returns the tokens of texts."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.tokenization.model_inputs import GRAINS, build_model_inputs, pad_model_inputs
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.loaded_model import LoadedModel, load_model


class TextTokens(NamedTuple):
    """The tokens of a text or pair as read by the model, including [CLS] and [SEP].

    Attributes:
      fine, coarse: the vocabulary entries of the tokens.
      fine_to_coarse: for each fine token, the position of the coarse token that contains it.
    """

    fine: list[str]
    coarse: list[str]
    fine_to_coarse: list[int]


def load_encoders(directories: Sequence[str], names: Sequence[str] = (), flag: str = "model_dir") -> list[LoadedModel]:
    """Loads several encoders; see `load_model`.

    Raises:
      InputError: there are no directories, the number of names differs, or a path is not a model directory.
    """
    if not directories:
        raise InputError(f"--{flag} is needed: comma-separated model directories, written by training")
    if names and len(names) != len(directories):
        raise InputError(f"--names: has {len(names)} names for {len(directories)} directories of --{flag}")
    models = [load_model(directory, flag=flag, task=False) for directory in directories]
    return [model._replace(name=name) for model, name in zip(models, names, strict=True)] if names else models


def limits(backbone: AmbertBackbone, max_seq_length: int) -> int:
    """Returns `max_seq_length`, limited to the model's number of position embeddings."""
    return min(max_seq_length, backbone.config.max_position_embeddings)


def model_inputs(
    tokenizer: MultiGrainedTokenizer, texts: Sequence[str], pairs: Sequence[str] | None, max_seq_length: int
) -> dict[str, tf.Tensor]:
    """Returns padded model inputs for texts or pairs of texts."""
    columns = [tf.constant(list(column), tf.string) for column in (texts, pairs) if column is not None]
    return pad_model_inputs(build_model_inputs(tokenizer, *columns, max_seq_length=max_seq_length))


def read_tokens(tokenizer: MultiGrainedTokenizer, inputs: Mapping[str, tf.Tensor], row: int) -> TextTokens:
    """Returns the tokens of one row of model inputs.

    Args:
      tokenizer: the tokenizer of the inputs.
      inputs: model inputs, int32 [batch, length]; see `build_model_inputs`.
      row: the row of the batch.
    """
    vocabularies = {"fine": tokenizer.fine_vocab, "coarse": tokenizer.coarse_vocab}
    tokens = {}
    for grain in GRAINS:
        ids = [int(index) for index in inputs[f"{grain}_input_ids"][row]]
        tokens[grain] = [vocabularies[grain][index] for index in ids if index != tokenizer.pad_id]
    alignment = [int(index) for index in inputs["fine_to_coarse"][row]]
    return TextTokens(tokens["fine"], tokens["coarse"], alignment[: len(tokens["fine"])])
