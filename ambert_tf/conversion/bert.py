"""A BERT outside of any framework: its configuration, its weights under this project's names, its vocabulary."""

import dataclasses
from collections.abc import Callable

import numpy as np
from absl import logging

from ambert_tf.conversion.parameters import REQUIRED_PART, Parameter, bert_parameters
from ambert_tf.errors import InputError
from ambert_tf.models.config import ModelConfig

# A vocabulary with more than this share of capital letters belongs to a model that tells them from small ones.
CASED_SHARE = 0.01


@dataclasses.dataclass(frozen=True)
class Bert:
    """What every format of a BERT checkpoint holds.

    Attributes:
      config: a `bert_fine`.
      weights: float32 by the variable's path in a `bert_fine` with its pre-training heads; a head that the
        checkpoint lacks is missing as a whole, and so may be the pooler.
      vocab: the tokens in the order of their ids; None where the checkpoint comes without.
      do_lower_case: whether its tokenizer is BERT's uncased one.
      source: where it is from, for errors.
    """

    config: ModelConfig
    weights: dict[str, np.ndarray]
    vocab: list[str] | None
    do_lower_case: bool
    source: str

    def has(self, part: str) -> bool:
        """Returns whether one of `PARTS` is there."""
        return any(name.path in self.weights for name in bert_parameters(self.config) if name.part == part)


def collect_weights(
    config: ModelConfig, find: Callable[[Parameter], np.ndarray | None], name: Callable[[Parameter], str], source: str
) -> dict[str, np.ndarray]:
    """Takes what a checkpoint has of a BERT's parameters.

    Args:
      config: the sizes that the checkpoint comes with.
      find: a parameter's values in the layout of this project; None if the checkpoint has none.
      name: a parameter's name in the checkpoint, for errors.
      source: the checkpoint, for errors.

    Raises:
      InputError: a parameter is missing, though others of its part are there, or has another shape.
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
                f"{source}: {name(parameter)} has shape {value.shape} (inputs first), but by the configuration "
                f"beside it, it should be {parameter.shape}; give the configuration of this checkpoint"
            )
        weights[parameter.path] = np.ascontiguousarray(value, dtype=np.float32)
    found = {parameter.part for parameter in bert_parameters(config) if parameter.path in weights}
    for part, first in missing.items():
        if part in found or part == REQUIRED_PART:
            raise InputError(f"{source}: has no tensor {first}; a whole BERT checkpoint is needed")
        logging.info("%s: has no %s", source, part)
    beyond = dataclasses.replace(config, num_hidden_layers=config.num_hidden_layers + 1)
    for parameter in bert_parameters(beyond):
        if parameter.layer == config.num_hidden_layers and find(parameter) is not None:
            raise InputError(
                f"{source}: has {name(parameter)}, but the configuration beside it says num_hidden_layers "
                f"{config.num_hidden_layers}; give the configuration of this checkpoint"
            )
    return weights


def check_vocab(bert: Bert, vocab: list[str], path: str) -> None:
    """Checks that a vocabulary has as many tokens as the model has embeddings.

    Raises:
      InputError: it has not.
    """
    if len(vocab) != bert.config.vocab_size:
        raise InputError(
            f"{path}: has {len(vocab)} tokens, but the configuration of {bert.source} says vocab_size "
            f"{bert.config.vocab_size}; give the vocabulary of this checkpoint"
        )


def is_cased(vocab: list[str]) -> bool:
    """Guesses from a vocabulary whether its model tells capital letters from small ones."""
    capitals = sum(any("A" <= character <= "Z" for character in token) for token in vocab if not token.startswith("["))
    return capitals > CASED_SHARE * len(vocab)
