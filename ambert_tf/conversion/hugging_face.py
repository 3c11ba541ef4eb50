"""Directories of Hugging Face's BERT: `config.json`, weights and tokenizer files, also of sentence-transformers."""

import json
import os
import shutil
from typing import Any

import numpy as np
from absl import logging

from ambert_tf.conversion.bert import Bert, collect_weights, fit_vocab, lower_cases, warn_of_folding
from ambert_tf.conversion.hugging_face_tensors import (
    BACKBONE_PREFIX,
    DECODER,
    WEIGHTS_NAME,
    HuggingFaceTensors,
    has_weights,
    safetensors_package,
)
from ambert_tf.conversion.hugging_face_tokenizer import VOCAB_NAME, read_tokenizer
from ambert_tf.conversion.parameters import MASKED_LM, NEXT_SENTENCE, POOLER, Parameter, bert_parameters
from ambert_tf.errors import InputError
from ambert_tf.files import is_directory, is_file, read_json_object
from ambert_tf.models.config import ModelConfig
from ambert_tf.tokenization.vocab_file import SPECIAL_TOKENS, write_vocabulary

CONFIG_NAME = "config.json"
# Of sentence-transformers: how the vector of a sentence is computed.
_POOLING_NAME = os.path.join("1_Pooling", CONFIG_NAME)
# transformers' other names for the two forms of GELU.
_ACTIVATIONS = {"gelu_python": "gelu", "gelu_fast": "gelu_new", "gelu_pytorch_tanh": "gelu_new"}
# The configuration of the BERT that this project implements. Other values belong to other models.
_ONLY_VALUES: dict[str, Any] = {
    "model_type": "bert",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "pad_token_id": 0,
}


def is_hugging_face(path: str) -> bool:
    """Returns whether a directory contains a transformers model."""
    return is_file(os.path.join(path, CONFIG_NAME)) and has_weights(path)


def read_hugging_face(
    path: str, do_lower_case: bool | None = None, flag: str = "input", needs_vocab: bool = True
) -> Bert:
    """Reads a directory written by `save_pretrained` of transformers' `BertModel`, with or without heads.

    If it is that of a sentence encoder (sentence-transformers) whose sentence vector is the mean over the tokens, the
    configuration has `classifier_pooling: mean`, because nothing trained its pooler.

    Args:
      path: the directory, local or remote.
      do_lower_case: whether the model is uncased. By default, this is detected from tokenizer files or vocabulary.
      flag: the flag that named the path, for error messages.
      needs_vocab: whether a missing vocabulary is an error.

    Raises:
      InputError: a file or tensor is missing, the parts do not match, or the model is not a BERT.
    """
    if not is_directory(path):
        raise InputError(f"--{flag}={path}: no such directory; one with {CONFIG_NAME} and {WEIGHTS_NAME} is expected")
    config = _read_config(os.path.join(path, CONFIG_NAME), flag)
    tensors = HuggingFaceTensors(path, flag)
    try:

        def find(parameter: Parameter) -> np.ndarray | None:
            value = tensors.find(parameter.hugging_face)
            return None if value is None else parameter.to_hugging_face(value)

        weights = collect_weights(config, find, lambda parameter: parameter.hugging_face, tensors.source)
        decoder = tensors.find(DECODER)
        tensors.report_others({parameter.hugging_face for parameter in bert_parameters(config)})
    finally:
        tensors.close()
    tokenizer = read_tokenizer(path, flag)
    lower = lower_cases(tokenizer.vocab, tokenizer.do_lower_case, do_lower_case, path)
    bert = Bert(config, weights, None, lower, path, tokenizer.strip_accents)
    if decoder is not None and not np.array_equal(decoder, weights["backbone/embeddings/fine_token_embeddings"]):
        logging.warning(
            "%s: its masked-LM head is ignored: %s differs from the token embeddings, but the output weights of this "
            "project's models are tied to them",
            tensors.source, DECODER,
        )  # fmt: skip
        bert = bert.without(MASKED_LM)
    if tokenizer.vocab is not None:
        return fit_vocab(bert, tokenizer.vocab, tokenizer.vocab_path)
    if needs_vocab:
        raise InputError(
            f"--{flag}={path}: has neither {VOCAB_NAME} nor a tokenizer.json with a WordPiece vocabulary; save its "
            "tokenizer to the same directory"
        )
    return bert


def _read_config(path: str, flag: str) -> ModelConfig:
    content = read_json_object(path, flag)
    for key, wanted in _ONLY_VALUES.items():
        found = content.get(key, wanted)
        if found != wanted and found is not None:
            raise InputError(f"{path}: {key} is {found!r}; only models with {key} {wanted!r} can be converted")
    for key in ("quantization_config", "pruned_heads"):
        if content.get(key):
            raise InputError(f"{path}: has {key}; only plain BERT models can be converted")
    activation = content.get("hidden_act", "gelu")
    if isinstance(activation, str):
        content["hidden_act"] = _ACTIVATIONS.get(activation, activation)
    if _has_mean_pooling(os.path.dirname(path)):
        content.setdefault("classifier_pooling", "mean")
    return ModelConfig.from_dict({**content, "model_type": "bert_fine", "coarse_vocab_size": 0}, path)


def _has_mean_pooling(path: str) -> bool:
    """Returns whether a directory is that of a sentence encoder whose sentence vector is the mean over the tokens."""
    name = os.path.join(path, _POOLING_NAME)
    if not is_file(name):
        return False
    modes = [key for key, value in read_json_object(name).items() if key.startswith("pooling_mode_") and value is True]
    return modes == ["pooling_mode_mean_tokens"]


def write_hugging_face(bert: Bert, directory: str, vocab_name: str = VOCAB_NAME) -> None:
    """Writes a model and a tokenizer for `AutoModel` and `AutoTokenizer` to an existing directory.

    The architecture is `BertForPreTraining`, `BertForMaskedLM` or `BertModel`, depending on the heads that are present.
    If the vocabulary is not named `vocab.txt`, the other tokenizer files are not written.
    """
    save_file = safetensors_package().numpy.save_file
    architecture = "BertModel"
    if bert.has(MASKED_LM):
        architecture = "BertForPreTraining" if bert.has(NEXT_SENTENCE) and bert.has(POOLER) else "BertForMaskedLM"
    tensors = {}
    for parameter in bert_parameters(bert.config):
        if parameter.path in bert.weights:
            name = parameter.hugging_face
            name = name.removeprefix(BACKBONE_PREFIX) if architecture == "BertModel" else name
            tensors[name] = np.ascontiguousarray(parameter.to_hugging_face(bert.weights[parameter.path]))
    config = bert.config.to_dict()
    del config["coarse_vocab_size"]
    config.update(
        model_type="bert",
        architectures=[architecture],
        pad_token_id=0,
        position_embedding_type="absolute",
        tie_word_embeddings=True,
    )
    config_path, weights_path = (os.path.join(directory, name) for name in (CONFIG_NAME, WEIGHTS_NAME))
    _write_json(config, config_path)
    save_file(tensors, weights_path, metadata={"format": "pt"})
    shutil.copymode(config_path, weights_path)  # safetensors makes its file readable by its owner only
    if bert.vocab is None:
        return
    write_vocabulary(bert.vocab, os.path.join(directory, vocab_name))
    if vocab_name == VOCAB_NAME:
        warn_of_folding(bert)
        special = dict(
            zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL_TOKENS, strict=True)
        )
        _write_json(special, os.path.join(directory, "special_tokens_map.json"))
        _write_json(
            {
                "tokenizer_class": "BertTokenizer",
                "do_lower_case": bert.do_lower_case,
                "strip_accents": bert.strip_accents,
                "tokenize_chinese_chars": True,
                "model_max_length": bert.config.max_position_embeddings,
                **special,
            },
            os.path.join(directory, "tokenizer_config.json"),
        )


def _write_json(content: dict[str, Any], path: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
