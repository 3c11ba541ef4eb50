"""A model directory's encoder with its tokenizer, and the tokens of texts as words to read."""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.models.backbones import Backbone, build_model
from ambert_tf.tokenization.model_inputs import GRAINS, build_model_inputs, pad_model_inputs
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.checkpoints import load_model_directory, restore_backbone


class NamedEncoder(NamedTuple):
    """A pre-trained or fine-tuned model without its heads; `name` is what pictures call it."""

    name: str
    backbone: Backbone
    tokenizer: MultiGrainedTokenizer


class TextTokens(NamedTuple):
    """The tokens of one text or pair as the model reads them, [CLS] and [SEP] included.

    Attributes:
      fine, coarse: as the vocabularies write them.
      fine_to_coarse: for each fine token the position of the coarse token that holds it.
    """

    fine: list[str]
    coarse: list[str]
    fine_to_coarse: list[int]


def load_encoder(model_dir: str, name: str = "", flag: str = "model_dir") -> NamedEncoder:
    """Loads the encoder of a model directory in float32.

    Args:
      model_dir: of a pre-trained or a fine-tuned model.
      name: how to call it; by default its model type and its directory.
      flag: the flag that names the directory, for errors.

    Raises:
      InputError: it is no model directory.
    """
    directory = load_model_directory(model_dir, flag)
    backbone = build_model(directory.config, dtype="float32")
    restore_backbone(backbone, model_dir, flag)
    name = name or f"{directory.config.model_type} ({os.path.basename(os.path.abspath(model_dir))})"
    return NamedEncoder(name, backbone, MultiGrainedTokenizer.load(directory.tokenizer_directory))


def load_encoders(directories: Sequence[str], names: Sequence[str] = (), flag: str = "model_dir") -> list[NamedEncoder]:
    """Loads several encoders; see `load_encoder`.

    Raises:
      InputError: none is named, there are other than as many names, or one is no model directory.
    """
    if not directories:
        raise InputError(f"--{flag} is needed: model directories, --output_dir of training, separated by commas")
    if names and len(names) != len(directories):
        raise InputError(f"--names: has {len(names)} names for {len(directories)} directories of --{flag}")
    return [
        load_encoder(directory, name, flag)
        for directory, name in zip(directories, names or [""] * len(directories), strict=True)
    ]


def limits(backbone: Backbone, max_seq_length: int) -> int:
    """Returns a limit of tokens that the model's positions allow."""
    return min(max_seq_length, backbone.config.max_position_embeddings)


def model_inputs(
    tokenizer: MultiGrainedTokenizer, texts: Sequence[str], pairs: Sequence[str] | None, max_seq_length: int
) -> dict[str, tf.Tensor]:
    """Returns padded model inputs of texts, or of pairs of texts."""
    columns = [tf.constant(list(column), tf.string) for column in (texts, pairs) if column is not None]
    return pad_model_inputs(build_model_inputs(tokenizer, *columns, max_seq_length=max_seq_length))


def read_tokens(tokenizer: MultiGrainedTokenizer, inputs: Mapping[str, tf.Tensor], row: int) -> TextTokens:
    """Returns what the tokens of one row of model inputs are.

    Args:
      tokenizer: that made them.
      inputs: int32 [batch, length] each, see `build_model_inputs`.
      row: which of the batch.
    """
    vocabularies = {"fine": tokenizer.fine_vocab, "coarse": tokenizer.coarse_vocab}
    tokens = {}
    for grain in GRAINS:
        ids = [int(index) for index in inputs[f"{grain}_input_ids"][row]]
        tokens[grain] = [vocabularies[grain][index] for index in ids if index != tokenizer.pad_id]
    alignment = [int(index) for index in inputs["fine_to_coarse"][row]]
    return TextTokens(tokens["fine"], tokens["coarse"], alignment[: len(tokens["fine"])])
