"""`--init_checkpoint`: a model directory or checkpoint of this project, or a BERT of Google's or Hugging Face's."""

import os

import keras
from absl import logging

from ambert_tf.conversion.bert import Bert
from ambert_tf.conversion.google_bert import google_prefix, read_google_bert
from ambert_tf.conversion.hugging_face import is_hugging_face, read_hugging_face
from ambert_tf.conversion.model_directories import check_tokenizer, own_tokenizer, start_variables, started_config
from ambert_tf.errors import InputError
from ambert_tf.models.ambert_masked_lm import PRETRAINING_HEADS
from ambert_tf.models.config import PRESETS, ModelConfig
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.checkpoints import restore_backbone, variable_reader


def is_bert(path: str) -> bool:
    """Returns whether a path is a checkpoint of Google's BERT or a directory of Hugging Face's."""
    return is_hugging_face(path) or google_prefix(path) is not None


def read_bert(path: str, flag: str = "init_checkpoint", needs_vocab: bool = False, **files: str | None) -> Bert:
    """Reads a checkpoint for which `is_bert` holds.

    Args:
      path: the checkpoint.
      flag: the flag it came from, for errors.
      needs_vocab: whether a missing vocabulary is an error.
      **files: `config_file` and `vocab_file` of a checkpoint of Google's BERT; beside the checkpoint by default.

    Raises:
      InputError: a file is missing, or the parts do not fit each other.
    """
    if not is_hugging_face(path):
        return read_google_bert(path, flag=flag, needs_vocab=needs_vocab, **files)
    if any(files.values()):
        raise InputError(f"--bert_config_file and --vocab_file: --{flag}={path} is not a checkpoint of Google's BERT")
    return read_hugging_face(path, flag=flag, needs_vocab=needs_vocab)


def restore_initial(
    model: keras.Model,
    path: str,
    tokenizer: MultiGrainedTokenizer,
    flag: str = "init_checkpoint",
    heads: bool = True,
    **files: str | None,
) -> str:
    """Gives a model the weights that training starts from; returns the checkpoint.

    Everything below `backbone/`, and the pre-training heads as far as the model and the checkpoint have them. Of
    another project's BERT coarse tokens start as the mean of their fine pieces.

    Args:
      model: a model with a backbone.
      path: a model directory, a checkpoint's prefix, a checkpoint of Google's BERT, a Hugging Face directory.
      tokenizer: the model's.
      flag: the flag it came from, for errors.
      heads: whether to load the pre-training heads too.
      **files: see `read_bert`.

    Raises:
      InputError: there is no such checkpoint, or it does not fit the model or the tokenizer.
    """
    if not is_bert(path):
        prefix = restore_backbone(model, path, flag)
        if heads:
            _restore_heads(model, prefix)
        return prefix
    bert = read_bert(path, flag, **files)
    check_tokenizer(bert, tokenizer, "the tokenizer")
    _check_config(bert, model.config, flag)
    variables = [v for v in model.variables if heads or not v.path.startswith(PRETRAINING_HEADS)]
    start_variables(variables, bert, tokenizer)
    return bert.source


def _restore_heads(model: keras.Model, prefix: str) -> None:
    """Gives a model the pre-training heads of a checkpoint of this project, as far as both have them."""
    heads = [variable for variable in model.variables if variable.path.startswith(PRETRAINING_HEADS)]
    if not heads:
        return
    read = variable_reader(prefix)
    new = []
    for variable in heads:
        values = read(variable.path)
        if values is None or tuple(values.shape) != tuple(variable.shape):
            new.append(variable.path)
        else:
            variable.assign(values)
    if new:
        logging.info("%s: has no such %s; new weights", prefix, ", ".join(new))


def bert_model(
    path: str, model_type: str | None, tokenizer_dir: str | None, flag: str = "init_checkpoint", **files: str | None
) -> tuple[ModelConfig, MultiGrainedTokenizer]:
    """Returns the configuration and the tokenizer of a model that starts from a BERT for which `is_bert` holds.

    Args:
      path: the checkpoint.
      model_type: one of the five; `bert_fine` by default, or with a tokenizer `ambert`.
      tokenizer_dir: has the checkpoint's vocabulary as its fine one; made of the vocabulary alone by default.
      flag: the flag it came from, for errors.
      **files: see `read_bert`.

    Raises:
      InputError: they do not fit each other, or a model with coarse tokens has no tokenizer directory.
    """
    bert = read_bert(path, flag, needs_vocab=tokenizer_dir is None, **files)
    if tokenizer_dir is None:
        if model_type not in (None, "bert_fine"):
            raise InputError(f"--tokenizer_dir is needed: --{flag}={path} does not say which coarse tokens there are")
        return bert.config, own_tokenizer(bert)
    tokenizer = MultiGrainedTokenizer.load(tokenizer_dir)
    check_tokenizer(bert, tokenizer, f"--tokenizer_dir={tokenizer_dir}")
    return started_config(bert, model_type or "ambert", tokenizer), tokenizer


def _check_config(bert: Bert, config: ModelConfig, flag: str) -> None:
    """Raises an InputError where two configurations differ in what the weights' shapes do not show."""
    for name in ("num_hidden_layers", "num_attention_heads", "hidden_act", "layer_norm_eps"):
        ours, theirs = getattr(config, name), getattr(bert.config, name)
        if ours != theirs:
            raise InputError(
                f"--{flag}={bert.source}: its {name} is {theirs!r}, not the model's {ours!r}; use its own "
                "configuration: --config=FILE"
            )


def new_model_config(
    config: str, model_type: str | None, tokenizer: MultiGrainedTokenizer, tokenizer_dir: str
) -> ModelConfig:
    """Returns the configuration that `--config` names, for the tokenizer's vocabularies.

    Args:
      config: a preset's name or a file.
      model_type: replaces the configuration's; None to leave it.
      tokenizer: whose vocabularies the model reads.
      tokenizer_dir: where it is from, for errors.

    Raises:
      InputError: `config` is neither a preset nor a file, or the file is for other vocabularies.
    """
    changes = {} if model_type is None else {"model_type": model_type}
    if config in PRESETS:
        return ModelConfig.preset(config, tokenizer.fine_vocab_size, tokenizer.coarse_vocab_size, **changes)
    if not os.path.exists(config):
        raise InputError(f"--config={config}: is neither a file nor one of the presets {', '.join(PRESETS)}")
    found = ModelConfig.from_file(config, **changes)
    for name, grain in (("vocab_size", "fine"), ("coarse_vocab_size", "coarse")):
        size = tokenizer.fine_vocab_size if grain == "fine" else tokenizer.coarse_vocab_size
        if grain in found.grains and getattr(found, name) != size:
            raise InputError(
                f"--config={config}: {name} is {getattr(found, name)}, but the {grain} vocabulary of "
                f"--tokenizer_dir={tokenizer_dir} has {size} tokens"
            )
    return found
