"""The BERT tokenizer in a directory written by transformers."""

import os
from typing import Any, NamedTuple

from ambert_tf.errors import InputError
from ambert_tf.files import is_file, read_json_object
from ambert_tf.tokenization.vocab_file import WORDPIECE_PREFIX, check_fine_vocabulary, read_vocabulary

VOCAB_NAME = "vocab.txt"
_SETTINGS_NAME = "tokenizer_config.json"
_FAST_NAME = "tokenizer.json"
# The last two are for unexpected contents of tokenizer.json.
_CLASSES = (
    "BertTokenizer", "BertTokenizerFast", "BertTokenizerLegacy", "PreTrainedTokenizerFast", "TokenizersBackend"
)  # fmt: skip


class HuggingFaceTokenizer(NamedTuple):
    """A tokenizer's vocabulary and normalization. Values that its files do not define are None.

    Attributes:
      vocab: the tokens in the order of their ids.
      vocab_path: the file of the tokens.
      do_lower_case: whether the tokenizer lower-cases.
      strip_accents: whether the tokenizer strips accents. None means the same as `do_lower_case`.
    """

    vocab: list[str] | None
    vocab_path: str
    do_lower_case: bool | None
    strip_accents: bool | None


def read_tokenizer(directory: str, flag: str) -> HuggingFaceTokenizer:
    """Reads those of `vocab.txt`, `tokenizer_config.json` and `tokenizer.json` that exist.

    As in transformers, `tokenizer_config.json` takes precedence over the normalizer of `tokenizer.json`.

    Raises:
      InputError: a file is invalid, or describes a tokenizer other than BERT's.
    """
    settings_path, fast_path, vocab_path = (
        os.path.join(directory, name) for name in (_SETTINGS_NAME, _FAST_NAME, VOCAB_NAME)
    )
    settings = read_json_object(settings_path, flag) if is_file(settings_path) else {}
    fast = read_json_object(fast_path, flag) if is_file(fast_path) else {}
    name = settings.get("tokenizer_class")
    if name is not None and name not in _CLASSES:
        raise InputError(f"{settings_path}: tokenizer_class is {name!r}; only BertTokenizer can be converted")
    normalizer = _normalizer(fast, fast_path)
    chinese = settings.get("tokenize_chinese_chars", normalizer.get("handle_chinese_chars"))
    if chinese is False:
        raise InputError(
            f"{directory}: tokenize_chinese_chars is false; only tokenizers that split Chinese text into characters "
            "can be converted"
        )
    vocab: list[str] | None = None
    if is_file(vocab_path):
        vocab = read_vocabulary(vocab_path, flag)
    elif fast:
        vocab_path = fast_path
        vocab = _fast_vocab(fast, fast_path, flag)
    return HuggingFaceTokenizer(
        vocab,
        vocab_path,
        _flag(settings, "do_lower_case", settings_path, _flag(normalizer, "lowercase", fast_path)),
        _flag(settings, "strip_accents", settings_path, _flag(normalizer, "strip_accents", fast_path)),
    )


def _flag(content: dict[str, Any], key: str, path: str, default: bool | None = None) -> bool | None:
    value = content.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise InputError(f"{path}: {key} is {value!r}; it must be true or false")
    return value


def _normalizer(fast: dict[str, Any], path: str) -> dict[str, Any]:
    """Returns the settings of BERT's normalizer in `tokenizer.json`, after checking the pre-tokenizer."""
    normalizer: Any = fast.get("normalizer")
    while _is(normalizer, "Sequence"):
        parts = normalizer.get("normalizers")
        if not isinstance(parts, list) or len(parts) != 1:
            break
        normalizer = parts[0]
    for key, value, wanted in (
        ("normalizer", normalizer, "BertNormalizer"),
        ("pre_tokenizer", fast.get("pre_tokenizer"), "BertPreTokenizer"),
    ):
        if value is not None and not _is(value, wanted):
            kind = value.get("type") if isinstance(value, dict) else value
            raise InputError(f"{path}: its {key} is {kind!r}; only BERT's ({wanted}) can be converted")
    if normalizer is None:
        return {}
    if normalizer.get("clean_text") is False:
        raise InputError(f"{path}: its normalizer has clean_text false; BERT's removes control characters")
    return normalizer


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, dict) and value.get("type") == kind


def _fast_vocab(fast: dict[str, Any], path: str, flag: str) -> list[str] | None:
    """Returns the WordPiece vocabulary of `tokenizer.json`, or None if it has none."""
    model = fast.get("model")
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict):
        return None
    # Old files do not contain the type.
    if model.get("type", "WordPiece") != "WordPiece":
        raise InputError(f"{path}: its model is {model['type']!r}; only BERT's (WordPiece) can be converted")
    prefix = model.get("continuing_subword_prefix", WORDPIECE_PREFIX)
    if prefix != WORDPIECE_PREFIX:
        raise InputError(f"{path}: its continuing_subword_prefix is {prefix!r}; BERT's is {WORDPIECE_PREFIX!r}")
    tokens = {index: token for token, index in model["vocab"].items() if type(index) is int}
    if set(tokens) != set(range(len(model["vocab"]))):
        raise InputError(f"{path}: its ids are not 0 to {len(model['vocab']) - 1}, each once")
    vocab = [tokens[index] for index in range(len(tokens))]
    check_fine_vocabulary(vocab, path, flag)
    return vocab
