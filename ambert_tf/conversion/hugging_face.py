"""Directories of Hugging Face's BERT: `config.json`, `model.safetensors` and the tokenizer's files.

Needs safetensors, the extra `interop`.
"""

import json
import os
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
from absl import logging

from ambert_tf.conversion.bert import Bert, check_vocab, collect_weights, is_cased
from ambert_tf.conversion.parameters import MASKED_LM, NEXT_SENTENCE, POOLER, Parameter, bert_parameters
from ambert_tf.errors import InputError, one_line
from ambert_tf.files import check_input_file, parse_json, read_bytes
from ambert_tf.models.config import ModelConfig
from ambert_tf.tokenization.vocab_file import SPECIAL_TOKENS, check_vocabulary, read_vocabulary, write_vocabulary

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
INDEX_NAME = "model.safetensors.index.json"
VOCAB_NAME = "vocab.txt"
_BACKBONE = "bert."
_DECODER = "cls.predictions.decoder.weight"
# transformers' other names of the two forms of GELU.
_ACTIVATIONS = {"gelu_python": "gelu", "gelu_fast": "gelu_new", "gelu_pytorch_tanh": "gelu_new"}
# What this project's BERT computes; a configuration that says otherwise is of another model.
_ONLY_VALUES: dict[str, Any] = {
    "model_type": "bert",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "pad_token_id": 0,
}


def is_hugging_face(path: str) -> bool:
    """Returns whether a directory holds a model of transformers rather than one of this project."""
    if not os.path.isfile(os.path.join(path, CONFIG_NAME)):
        return False
    names = os.listdir(path)
    return any(name.endswith((".safetensors", ".safetensors.index.json")) or name == _PICKLE for name in names)


_PICKLE = "pytorch_model.bin"


def read_hugging_face(
    path: str, do_lower_case: bool | None = None, flag: str = "input", needs_vocab: bool = True
) -> Bert:
    """Reads a directory that `save_pretrained` of transformers' `BertModel` or one with heads wrote.

    Args:
      path: the directory.
      do_lower_case: whether the model is uncased; as the tokenizer's files say by default.
      flag: the flag that names it, for errors.
      needs_vocab: whether a missing vocabulary is an error.

    Raises:
      InputError: a file or tensor is missing, the parts do not fit each other, or it is another model than BERT.
    """
    if not os.path.isdir(path):
        raise InputError(f"--{flag}={path}: no such directory; one with {CONFIG_NAME} and {WEIGHTS_NAME} is needed")
    config = _read_config(os.path.join(path, CONFIG_NAME), flag)
    with _Tensors(path, flag) as tensors:

        def find(parameter: Parameter) -> np.ndarray | None:
            value = tensors.find(parameter.hugging_face)
            return None if value is None else parameter.to_hugging_face(value)

        weights = collect_weights(config, find, lambda parameter: parameter.hugging_face, tensors.source)
        decoder = tensors.find(_DECODER)
        if decoder is not None and not np.array_equal(decoder, weights["backbone/embeddings/fine_token_embeddings"]):
            raise InputError(
                f"{tensors.source}: {_DECODER} differs from the token embeddings, but this project's masked-LM output "
                "is tied to them"
            )
        tensors.report_others({parameter.hugging_face for parameter in bert_parameters(config)})
    vocab, lower = _read_tokenizer(path)
    bert = Bert(config, weights, vocab, lower if do_lower_case is None else do_lower_case, path)
    if vocab is not None:
        check_vocab(bert, vocab, os.path.join(path, VOCAB_NAME))
    elif needs_vocab:
        raise InputError(
            f"--{flag}={path}: has neither {VOCAB_NAME} nor a tokenizer.json with a WordPiece vocabulary; save its "
            "tokenizer into the same directory"
        )
    return bert


def _read_json(path: str, flag: str) -> dict[str, Any]:
    check_input_file(path, flag)
    try:
        content = parse_json(read_bytes(path))
    except ValueError as error:
        raise InputError(f"{path}: not a JSON file ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a JSON object")
    return content


def _read_config(path: str, flag: str) -> ModelConfig:
    content = _read_json(path, flag)
    for key, wanted in _ONLY_VALUES.items():
        found = content.get(key, wanted)
        if found != wanted and found is not None:
            raise InputError(f"{path}: {key} is {found!r}; only models whose {key} is {wanted!r} can be converted")
    for key in ("quantization_config", "pruned_heads"):
        if content.get(key):
            raise InputError(f"{path}: has {key}; only plain BERT models can be converted")
    activation = content.get("hidden_act", "gelu")
    content["hidden_act"] = _ACTIVATIONS.get(activation, activation)
    return ModelConfig.from_dict({**content, "model_type": "bert_fine", "coarse_vocab_size": 0}, path)


class _Tensors:
    """The tensors of a directory, in one file or several, whatever model of transformers wrote them."""

    def __init__(self, directory: str, flag: str) -> None:
        safetensors = _safetensors()
        index = os.path.join(directory, INDEX_NAME)
        self.source = os.path.join(directory, WEIGHTS_NAME)
        if os.path.exists(index):
            files = sorted(set(_read_json(index, flag).get("weight_map", {}).values()))
            self.source = index
        elif os.path.exists(self.source):
            files = [WEIGHTS_NAME]
        elif os.path.exists(os.path.join(directory, _PICKLE)):
            raise InputError(
                f"--{flag}={directory}: holds {_PICKLE} but no {WEIGHTS_NAME}; load it with transformers and save it "
                "with save_pretrained, which writes safetensors"
            )
        else:
            raise InputError(f"--{flag}={directory}: has no {WEIGHTS_NAME}")
        self._files = []
        self._places: dict[str, Any] = {}
        for name in files:
            file = os.path.join(directory, name)
            check_input_file(file, flag)
            try:
                opened = safetensors.safe_open(file, framework="np")
            except safetensors.SafetensorError as error:
                raise InputError(f"{file}: is no safetensors file: {one_line(error)}") from None
            self._files.append(opened)
            self._places.update(dict.fromkeys(opened.keys(), opened))
        self._prefixed = any(name.startswith(_BACKBONE) for name in self._places)

    def __enter__(self) -> "_Tensors":
        return self

    def __exit__(self, *_: object) -> None:
        self._places.clear()
        self._files.clear()

    def names_of(self, name: str) -> Iterator[str]:
        """Yields the names that a tensor may bear: of a model without heads, and of the time of gamma and beta."""
        name = name if self._prefixed else name.removeprefix(_BACKBONE)
        yield name
        if "LayerNorm." in name:
            yield name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")

    def find(self, name: str) -> np.ndarray | None:
        """Returns a tensor as float32."""
        for candidate in self.names_of(name):
            if candidate in self._places:
                return np.asarray(self._places[candidate].get_tensor(candidate)).astype(np.float32)
        return None

    def report_others(self, known: set[str]) -> None:
        """Logs the tensors that are none of a BERT's, but for buffers and tied copies."""
        expected = {candidate for name in known for candidate in self.names_of(name)}
        copies = ("position_ids", _DECODER, "cls.predictions.decoder.bias")
        others = sorted(name for name in set(self._places) - expected if not name.endswith(copies))
        if others:
            logging.warning("%s: %d other tensors are left out, the first is %s", self.source, len(others), others[0])


def _read_tokenizer(directory: str) -> tuple[list[str] | None, bool]:
    """Returns the vocabulary, if there is one, and whether the tokenizer lower-cases."""
    settings_path, fast_path = (os.path.join(directory, name) for name in ("tokenizer_config.json", "tokenizer.json"))
    vocab_path = os.path.join(directory, VOCAB_NAME)
    fast = _read_json(fast_path, "input") if os.path.exists(fast_path) else {}
    model = fast.get("model") or {}
    vocab = None
    if os.path.exists(vocab_path):
        vocab = read_vocabulary(vocab_path, "input")
    elif isinstance(model.get("vocab"), dict) and model.get("type", "WordPiece") == "WordPiece":
        ids = model["vocab"]
        vocab = sorted(ids, key=ids.__getitem__)
        if sorted(ids.values()) != list(range(len(ids))):
            raise InputError(f"{fast_path}: its ids are not 0 to {len(ids) - 1}, each once")
        check_vocabulary(vocab, fast_path, "input")
    settings = _read_json(settings_path, "input") if os.path.exists(settings_path) else {}
    lower = settings.get("do_lower_case", (fast.get("normalizer") or {}).get("lowercase"))
    if lower is None:
        lower = vocab is None or not is_cased(vocab)
    return vocab, bool(lower)


def _safetensors() -> Any:
    """Returns the package safetensors, with its module for numpy.

    Raises:
      InputError: it is not installed.
    """
    try:
        import safetensors.numpy
    except ImportError:
        raise InputError(
            "Hugging Face checkpoints need the package safetensors: pip install '.[interop]' in a checkout of ambert-tf"
        ) from None
    return safetensors


def write_hugging_face(bert: Bert, directory: str, vocab_name: str = VOCAB_NAME) -> None:
    """Writes what `AutoModel` and `AutoTokenizer` load into a directory that exists.

    The model class named is `BertForPreTraining`, `BertForMaskedLM` or `BertModel`, by the heads that are there.
    A vocabulary under another name than `vocab.txt` comes without the files that make a tokenizer of it.
    """
    save_file = _safetensors().numpy.save_file
    architecture = "BertModel"
    if bert.has(MASKED_LM):
        architecture = "BertForPreTraining" if bert.has(NEXT_SENTENCE) and bert.has(POOLER) else "BertForMaskedLM"
    tensors = {}
    for parameter in bert_parameters(bert.config):
        if parameter.path in bert.weights:
            name = parameter.hugging_face
            name = name.removeprefix(_BACKBONE) if architecture == "BertModel" else name
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
    shutil.copymode(config_path, weights_path)  # safetensors lets nobody but the owner read its file
    if bert.vocab is None:
        return
    write_vocabulary(bert.vocab, os.path.join(directory, vocab_name))
    if vocab_name == VOCAB_NAME:
        special = dict(
            zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL_TOKENS, strict=True)
        )
        _write_json(special, os.path.join(directory, "special_tokens_map.json"))
        _write_json(
            {
                "tokenizer_class": "BertTokenizer",
                "do_lower_case": bert.do_lower_case,
                "strip_accents": None,
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
