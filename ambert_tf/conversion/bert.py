"""A framework-independent BERT: its configuration, its weights under this project's names, and its vocabulary."""

import dataclasses
from collections.abc import Callable

import numpy as np
from absl import logging

from ambert_tf.conversion.parameters import REQUIRED_PART, Parameter, bert_parameters
from ambert_tf.errors import InputError
from ambert_tf.models.config import ModelConfig
from ambert_tf.tokenization.vocab_file import token_ids, unused_token

# If the fraction of tokens with capital letters in a vocabulary exceeds this value, the model is cased.
CASED_SHARE = 0.01
_CAPITALS = {chr(code) for code in range(ord("A"), ord("Z") + 1)}


@dataclasses.dataclass(frozen=True)
class Bert:
    """The contents of a BERT checkpoint, independent of its format.

    Attributes:
      config: the configuration, of type `bert_fine`.
      weights: float32 arrays, by the variable's path in a `bert_fine` with pre-training heads. The pooler and each head
        are either complete or missing.
      vocab: the tokens in the order of their ids, or None if the checkpoint has no vocabulary.
      do_lower_case: whether its tokenizer is BERT's uncased one.
      source: the checkpoint's location, for error messages.
      strip_accents: whether its tokenizer strips accents. None means the same as `do_lower_case`, as in BERT.
      normalization: `bert`, or `nfkc` if its tokenizer also folds full-width forms and ligatures, unlike BERT's.
      unused_rows: number of token embeddings at the end of the table without a token in the vocabulary file. They have
        unused names in `vocab`.
    """

    config: ModelConfig
    weights: dict[str, np.ndarray]
    vocab: list[str] | None
    do_lower_case: bool
    source: str
    strip_accents: bool | None = None
    normalization: str = "bert"
    unused_rows: int = 0

    @property
    def strips_accents(self) -> bool:
        """Whether its tokenizer strips accents."""
        return self.do_lower_case if self.strip_accents is None else self.strip_accents

    def has(self, part: str) -> bool:
        """Returns whether a part, as defined in `parameters.py`, is present."""
        return any(one.path in self.weights for one in bert_parameters(self.config) if one.part == part)

    def without(self, *parts: str) -> "Bert":
        """Returns this BERT without the given parts, as defined in `parameters.py`."""
        left_out = {parameter.path for parameter in bert_parameters(self.config) if parameter.part in parts}
        weights = {path: value for path, value in self.weights.items() if path not in left_out}
        return dataclasses.replace(self, weights=weights)

    def with_vocab_size(self, size: int) -> "Bert":
        """Returns this BERT without the last token embeddings, which are unused."""
        config = dataclasses.replace(self.config, vocab_size=size)
        shapes = {parameter.path: parameter.shape for parameter in bert_parameters(config)}
        weights = {path: value[: shapes[path][0]] for path, value in self.weights.items()}
        unused = self.unused_rows - (self.config.vocab_size - size)
        vocab = None if self.vocab is None else self.vocab[:size]
        return dataclasses.replace(self, config=config, weights=weights, vocab=vocab, unused_rows=unused)


def collect_weights(
    config: ModelConfig, find: Callable[[Parameter], np.ndarray | None], name: Callable[[Parameter], str], source: str
) -> dict[str, np.ndarray]:
    """Collects the parameters of a BERT from a checkpoint.

    Args:
      config: the checkpoint's configuration.
      find: returns a parameter's value in this project's layout, or None if the checkpoint does not have it.
      name: returns a parameter's name in the checkpoint, for error messages.
      source: the checkpoint, for error messages.

    Raises:
      InputError: a parameter has the wrong shape, or is missing although other parameters of its part are present.
    """
    weights: dict[str, np.ndarray] = {}
    missing: dict[str, str] = {}
    for parameter in bert_parameters(config):
        value = find(parameter)
        if value is None:
            missing.setdefault(parameter.part, name(parameter))
            continue
        if value.shape != parameter.shape:
            raise InputError(
                f"{source}: {name(parameter)} has shape {value.shape} (inputs first), but its configuration implies "
                f"{parameter.shape}; use the configuration of this checkpoint"
            )
        weights[parameter.path] = np.ascontiguousarray(value, dtype=np.float32)
    found = {parameter.part for parameter in bert_parameters(config) if parameter.path in weights}
    for part, first in missing.items():
        if part in found or part == REQUIRED_PART:
            raise InputError(f"{source}: has no tensor {first}; a complete BERT checkpoint is expected")
        logging.info("%s: has no %s", source, part)
    deeper = dataclasses.replace(config, num_hidden_layers=config.num_hidden_layers + 1)
    for parameter in bert_parameters(deeper):
        if parameter.layer == config.num_hidden_layers and find(parameter) is not None:
            raise InputError(
                f"{source}: has {name(parameter)}, but its configuration says num_hidden_layers "
                f"{config.num_hidden_layers}; use the configuration of this checkpoint"
            )
    if config.type_vocab_size == 1:
        logging.warning(
            "%s: type_vocab_size is 1, so both texts of a pair get the same segment embedding", source
        )
    return weights


def fit_vocab(bert: Bert, vocab: list[str], path: str) -> Bert:
    """Returns a BERT with its vocabulary, and with unused names for embeddings beyond the end of the vocabulary.

    Raises:
      InputError: the vocabulary has more tokens than the model has embeddings.
    """
    rows = bert.config.vocab_size
    unused = rows - len(vocab)
    if unused < 0:
        raise InputError(
            f"{path}: has {len(vocab)} tokens, but {bert.source} has {rows} token embeddings (vocab_size); use the "
            "vocabulary of this checkpoint"
        )
    if unused:
        known = token_ids(vocab)
        vocab = [*vocab, *(unused_token(index, known) for index in range(len(vocab), rows))]
        logging.warning(
            "%s: has %d tokens, but %s has %d token embeddings; the last %d are kept under the unused names %s to %s",
            path, rows - unused, bert.source, rows, unused, vocab[-unused], vocab[-1],
        )  # fmt: skip
    return dataclasses.replace(bert, vocab=vocab, unused_rows=unused)


def warn_of_folding(bert: Bert) -> None:
    """Logs a warning if a model's tokenizer folds characters that BERT's tokenizer, in another format, does not."""
    if bert.normalization != "bert":
        logging.warning(
            "%s: its tokenizer folds full-width forms and ligatures (normalization is %s), but BERT's does not; texts "
            "with such characters get other tokens",
            bert.source, bert.normalization,
        )  # fmt: skip


def is_cased(vocab: list[str]) -> bool:
    """Guesses from a vocabulary whether the model is cased."""
    capitals = sum(token != token.lower() for token in vocab if not token.startswith("["))
    # A Chinese vocabulary has few words of letters, whether it is cased or not.
    return capitals > CASED_SHARE * len(vocab) or len(_CAPITALS.intersection(vocab)) > len(_CAPITALS) // 2


def lower_cases(vocab: list[str] | None, stated: bool | None, wanted: bool | None, source: str) -> bool:
    """Returns whether to lower-case texts for a model.

    Args:
      vocab: the model's vocabulary, if known.
      stated: the value in the tokenizer's files, if any.
      wanted: the value given by the user, if any. It takes precedence.
      source: the checkpoint, for the log.
    """
    if wanted is not None:
        return wanted
    if vocab is None:
        return stated is not False
    cased = is_cased(vocab)
    if stated is False and not cased:
        # This is the case for bert-base-chinese on the Hugging Face Hub, where all capitals would become [UNK].
        logging.warning(
            "%s: its tokenizer is cased (do_lower_case is false), but its vocabulary has no capital letters; texts are "
            "lower-cased. --do_lower_case=false keeps capitals",
            source,
        )
        return True
    return not cased if stated is None else stated
