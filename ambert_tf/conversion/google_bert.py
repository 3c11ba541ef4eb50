"""Checkpoints of google-research/bert: TensorFlow 1 variables, `bert_config.json` and `vocab.txt`."""

import json
import os
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from ambert_tf.conversion.bert import Bert, collect_weights, fit_vocab, lower_cases, warn_of_folding
from ambert_tf.conversion.parameters import Parameter, bert_parameters
from ambert_tf.errors import InputError, one_line
from ambert_tf.files import check_tensorflow_path, is_directory, is_file
from ambert_tf.models.config import ModelConfig
from ambert_tf.tokenization.vocab_file import read_vocabulary, write_vocabulary
from ambert_tf.training.checkpoints import READ_ERRORS

CHECKPOINT_NAME = "bert_model.ckpt"
CONFIG_NAME = "bert_config.json"
VOCAB_NAME = "vocab.txt"
# The only epsilon in google-research/bert's modeling.py.
LAYER_NORM_EPS = 1e-12
ACTIVATIONS = ("gelu", "relu")
_CONFIG_KEYS = (
    "attention_probs_dropout_prob", "hidden_act", "hidden_dropout_prob", "hidden_size", "initializer_range",
    "intermediate_size", "max_position_embeddings", "num_attention_heads", "num_hidden_layers", "type_vocab_size",
    "vocab_size",
)  # fmt: skip


def google_prefix(path: str) -> str | None:
    """Returns the prefix of the Google BERT checkpoint at a path, or None if there is none."""
    prefix = _prefix(path)
    if not is_file(prefix + ".index"):
        return None
    try:
        names = _reader(prefix).get_variable_to_shape_map()
    except READ_ERRORS:
        return None
    return prefix if any(name.startswith("bert/embeddings/") for name in names) else None


def _prefix(path: str) -> str:
    return os.path.join(path, CHECKPOINT_NAME) if is_directory(path) else path.removesuffix(".index")


def _reader(prefix: str) -> Any:
    # On some remote file systems, tf.train.load_checkpoint mistakes a prefix for a directory.
    return tf.compat.v1.train.NewCheckpointReader(prefix)


def read_google_bert(
    path: str,
    config_file: str | None = None,
    vocab_file: str | None = None,
    do_lower_case: bool | None = None,
    flag: str = "input",
    needs_vocab: bool = True,
) -> Bert:
    """Reads a checkpoint of Google's BERT, without optimizer slots and step.

    As in transformers, `gelu` means the exact function. Google's later code uses the tanh approximation.

    Args:
      path: the prefix, such as `chinese_L-12_H-768_A-12/bert_model.ckpt`, or its directory.
      config_file: the configuration. Defaults to `bert_config.json` next to the checkpoint.
      vocab_file: the vocabulary. Defaults to `vocab.txt` next to the checkpoint.
      do_lower_case: whether the model is uncased. By default, this is detected from the vocabulary.
      flag: the flag that named the path, for error messages.
      needs_vocab: whether a missing vocabulary is an error.

    Raises:
      InputError: a file or tensor is missing, or the parts do not match.
    """
    prefix = _prefix(path)
    if not is_file(prefix + ".index"):
        raise InputError(
            f"--{flag}={path}: there is no {prefix}.index; name a checkpoint of Google's BERT without its "
            f"extension, such as DIR/{CHECKPOINT_NAME}, or its directory"
        )
    check_tensorflow_path(path, flag)
    directory = os.path.dirname(prefix)
    config_file = config_file or os.path.join(directory, CONFIG_NAME)
    if not is_file(config_file):
        raise InputError(f"{config_file}: no such file; the configuration of Google's BERT is needed")
    config = ModelConfig.from_file(config_file, "bert_config_file", model_type="bert_fine", coarse_vocab_size=0)
    try:
        reader = _reader(prefix)
        names = reader.get_variable_to_shape_map()

        def find(parameter: Parameter) -> np.ndarray | None:
            return parameter.to_google(reader.get_tensor(parameter.google)) if parameter.google in names else None

        weights = collect_weights(config, find, lambda parameter: parameter.google, prefix)
    except READ_ERRORS as error:
        raise InputError(f"{prefix}: the checkpoint cannot be read: {one_line(error)}") from None
    known = {parameter.google for parameter in bert_parameters(config)}
    others = sorted(
        name for name in names if name not in known and not name.endswith(("/adam_m", "/adam_v")) and "step" not in name
    )
    if others:
        logging.warning("%s: %d other tensors are ignored; the first is %s", prefix, len(others), others[0])
    vocab_file = vocab_file or os.path.join(directory, VOCAB_NAME)
    vocab = read_vocabulary(vocab_file, "vocab_file") if needs_vocab or is_file(vocab_file) else None
    bert = Bert(config, weights, None, lower_cases(vocab, None, do_lower_case, prefix), prefix)
    return bert if vocab is None else fit_vocab(bert, vocab, vocab_file)


def check_fits_google(bert: Bert) -> None:
    """Checks that Google's code can run a model.

    Raises:
      InputError: the configuration has a value that `bert_config.json` cannot express.
    """
    if bert.config.layer_norm_eps != LAYER_NORM_EPS:
        raise InputError(
            f"{bert.source}: layer_norm_eps is {bert.config.layer_norm_eps:g}, but Google's BERT "
            f"always uses {LAYER_NORM_EPS:g}; use --to_format=huggingface"
        )
    if bert.config.hidden_act not in ACTIVATIONS:
        raise InputError(
            f"{bert.source}: hidden_act is {bert.config.hidden_act}, but Google's BERT only has "
            f"{', '.join(ACTIVATIONS)}; use --to_format=huggingface"
        )


def write_google_bert(bert: Bert, directory: str, vocab_name: str = VOCAB_NAME) -> None:
    """Writes `bert_model.ckpt`, `bert_config.json` and `vocab.txt` to an existing directory."""
    check_fits_google(bert)
    present = [parameter for parameter in bert_parameters(bert.config) if parameter.path in bert.weights]
    # The operation of TensorFlow 1's Saver, which uses the given names and writes no object graph.
    tf.raw_ops.SaveV2(
        prefix=os.path.join(directory, CHECKPOINT_NAME),
        tensor_names=[parameter.google for parameter in present],
        shape_and_slices=[""] * len(present),
        tensors=[parameter.to_google(bert.weights[parameter.path]) for parameter in present],
    )
    values = bert.config.to_dict()
    with open(os.path.join(directory, CONFIG_NAME), "w", encoding="utf-8") as file:
        json.dump({key: values[key] for key in _CONFIG_KEYS}, file, indent=2)
        file.write("\n")
    if bert.vocab is not None:
        write_vocabulary(bert.vocab, os.path.join(directory, vocab_name))
    if vocab_name == VOCAB_NAME:
        warn_of_folding(bert)
        if bert.strips_accents != bert.do_lower_case:
            logging.warning(
                "%s: strip_accents is %s, but Google's tokenizer strips accents if and only if it lower-cases; texts "
                "with accents get other tokens, unless you use --to_format=huggingface",
                bert.source, bert.strips_accents,
            )  # fmt: skip
