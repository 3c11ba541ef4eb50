"""`--init_checkpoint`: a model directory or checkpoint of this project, or Google's or Hugging Face's BERT."""

from typing import Any

import keras
from absl import logging

from ambert_tf.conversion.ambert_model import fit_tokenizer, own_tokenizer, start_variables, started_config
from ambert_tf.conversion.bert import Bert
from ambert_tf.conversion.google_bert import google_prefix, read_google_bert
from ambert_tf.conversion.hugging_face import is_hugging_face, read_hugging_face
from ambert_tf.conversion.parameters import MASKED_LM, NEXT_SENTENCE
from ambert_tf.errors import InputError
from ambert_tf.files import exists
from ambert_tf.models.ambert_masked_lm import PRETRAINING_HEADS
from ambert_tf.models.config import PRESETS, ModelConfig
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.checkpoints import restore_backbone, variable_reader


def is_bert(path: str) -> bool:
    """Returns whether a path is a checkpoint of Google's BERT or a directory of Hugging Face's BERT."""
    return is_hugging_face(path) or google_prefix(path) is not None


def read_bert(
    path: str,
    flag: str = "init_checkpoint",
    needs_vocab: bool = False,
    do_lower_case: bool | None = None,
    **files: Any,
) -> Bert:
    """Reads a checkpoint for which `is_bert` is true.

    Args:
      path: the checkpoint.
      flag: the flag that named the path, for error messages.
      needs_vocab: whether a missing vocabulary is an error.
      do_lower_case: whether the BERT is uncased. By default, this is detected from its files or vocabulary.
      **files: `config_file` and `vocab_file` of a checkpoint of Google's BERT. By default, they are expected next to
        the checkpoint.

    Raises:
      InputError: a file is missing, or the parts do not match.
    """
    if not is_hugging_face(path):
        return read_google_bert(path, do_lower_case=do_lower_case, flag=flag, needs_vocab=needs_vocab, **files)
    if any(files.values()):
        raise InputError(f"--bert_config_file and --vocab_file: --{flag}={path} is not a checkpoint of Google's BERT")
    return read_hugging_face(path, do_lower_case, flag, needs_vocab)


def restore_initial(
    model: keras.Model,
    path: str,
    tokenizer: MultiGrainedTokenizer,
    flag: str = "init_checkpoint",
    heads: bool = True,
    do_lower_case: bool | None = None,
    **files: Any,
) -> str:
    """Initializes a model from a checkpoint and returns the checkpoint.

    Restores all variables under `backbone/`, and the pre-training heads that both model and checkpoint have. If the
    checkpoint is another project's BERT, coarse tokens are initialized to the means of their fine pieces.

    Args:
      model: a model with a backbone.
      path: a model directory, a checkpoint's prefix, a checkpoint of Google's BERT, or a Hugging Face directory.
      tokenizer: the model's tokenizer.
      flag: the flag that named the checkpoint, for error messages.
      heads: whether to restore the pre-training heads.
      do_lower_case, **files: see `read_bert`.

    Raises:
      InputError: there is no such checkpoint, or it does not match the model or the tokenizer.
    """
    if not is_bert(path):
        prefix = restore_backbone(model, path, flag)
        if heads:
            _restore_heads(model, prefix)
        return prefix
    bert = read_bert(path, flag, needs_vocab=False, do_lower_case=do_lower_case, **files)
    bert = fit_tokenizer(bert, tokenizer, "the tokenizer")
    _check_config(bert, model.config, flag)
    if not heads:
        bert = bert.without(MASKED_LM, NEXT_SENTENCE)
    start_variables(model.variables, bert, tokenizer)
    return bert.source


def _restore_heads(model: keras.Model, prefix: str) -> None:
    """Restores the pre-training heads that both the model and a checkpoint of this project have."""
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
        logging.info("%s: has no %s of this shape; randomly initialized", prefix, ", ".join(new))


def bert_model(
    path: str,
    model_type: str | None,
    tokenizer_dir: str | None,
    flag: str = "init_checkpoint",
    do_lower_case: bool | None = None,
    **files: Any,
) -> tuple[ModelConfig, MultiGrainedTokenizer]:
    """Returns the configuration and tokenizer of a model initialized from a BERT for which `is_bert` is true.

    Args:
      path: the checkpoint.
      model_type: one of the five model types. Defaults to `ambert` with a tokenizer directory, and to `bert_fine`
        otherwise.
      tokenizer_dir: tokenizer directory, with the checkpoint's vocabulary as fine vocabulary. Defaults to a tokenizer
        built from that vocabulary alone.
      flag: the flag that named the checkpoint, for error messages.
      do_lower_case, **files: see `read_bert`.

    Raises:
      InputError: the parts do not match, or a model with coarse tokens has no tokenizer directory.
    """
    bert = read_bert(path, flag, needs_vocab=tokenizer_dir is None, do_lower_case=do_lower_case, **files)
    if tokenizer_dir is None:
        if model_type not in (None, "bert_fine"):
            raise InputError(f"--tokenizer_dir is needed: --{flag}={path} does not define coarse tokens")
        return bert.config, own_tokenizer(bert)
    tokenizer = MultiGrainedTokenizer.load(tokenizer_dir)
    bert = fit_tokenizer(bert, tokenizer, f"--tokenizer_dir={tokenizer_dir}")
    return started_config(bert, model_type or "ambert", tokenizer), tokenizer


def _check_config(bert: Bert, config: ModelConfig, flag: str) -> None:
    """Raises an InputError if two configurations differ in a value that does not affect the shapes of the weights."""
    for name in ("num_hidden_layers", "num_attention_heads", "hidden_act", "layer_norm_eps"):
        ours, theirs = getattr(config, name), getattr(bert.config, name)
        if ours != theirs:
            raise InputError(
                f"--{flag}={bert.source}: its {name} is {theirs!r}, but the model's is {ours!r}; use its "
                "configuration, --config=FILE"
            )


def new_model_config(
    config: str, model_type: str | None, tokenizer: MultiGrainedTokenizer, tokenizer_dir: str
) -> ModelConfig:
    """Returns the configuration named by `--config`, with the sizes of the tokenizer's vocabularies.

    Args:
      config: a preset's name or a file.
      model_type: overrides the model type of the configuration unless it is None.
      tokenizer: the model's tokenizer.
      tokenizer_dir: the tokenizer's directory, for error messages.

    Raises:
      InputError: `config` is neither a preset nor a file, or the file belongs to other vocabularies.
    """
    changes = {} if model_type is None else {"model_type": model_type}
    if config in PRESETS:
        return ModelConfig.preset(config, tokenizer.fine_vocab_size, tokenizer.coarse_vocab_size, **changes)
    if not exists(config):
        raise InputError(f"--config={config}: is neither a file nor one of the presets {', '.join(PRESETS)}")
    found = ModelConfig.from_file(config, **changes)
    check_vocab_sizes(found, tokenizer, f"--config={config}", tokenizer_dir)
    return found


def check_vocab_sizes(config: ModelConfig, tokenizer: MultiGrainedTokenizer, where: str, tokenizer_dir: str) -> None:
    """Raises an InputError if a configuration has other vocabulary sizes than a tokenizer.

    Args:
      config: the configuration.
      tokenizer: the tokenizer.
      where: the location of the configuration, for the error message.
      tokenizer_dir: the tokenizer's directory, likewise.
    """
    for name, grain in (("vocab_size", "fine"), ("coarse_vocab_size", "coarse")):
        size = tokenizer.fine_vocab_size if grain == "fine" else tokenizer.coarse_vocab_size
        if grain in config.grains and getattr(config, name) != size:
            raise InputError(
                f"{where}: {name} is {getattr(config, name)}, but the {grain} vocabulary of "
                f"--tokenizer_dir={tokenizer_dir} has {size} tokens"
            )
