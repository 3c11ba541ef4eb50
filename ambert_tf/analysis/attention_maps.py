"""Attention weights of a text, with the tokens."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ambert_tf.analysis.analysis_settings import MEAN
from ambert_tf.analysis.encoders import TextTokens, limits, model_inputs, read_tokens
from ambert_tf.errors import InputError
from ambert_tf.training.loaded_model import LoadedModel


class AttentionMap(NamedTuple):
    """The attention weights of one model on one sequence.

    Attributes:
      model: the model's name.
      grain: `fine`, `coarse`, or `fine + coarse` for AMBERT-Hybrid.
      tokens: the tokens, [length], including [CLS] and [SEP].
      fine_tokens: the number of fine tokens. In AMBERT-Hybrid, the coarse tokens follow, and the blocks of the matrix
        are fine to fine, fine to coarse (upper right), coarse to fine (lower left) and coarse to coarse.
      weights: float32 [layers, heads, length, length]. A row contains the weights of one attending token and sums to 1.
    """

    model: str
    grain: str
    tokens: list[str]
    fine_tokens: int
    weights: np.ndarray

    def matrix(self, layer: int, head: int | None) -> np.ndarray:
        """Returns the weights of a layer and a head, both counted from 1. None stands for the mean of the heads.

        Raises:
          InputError: the model has no such layer or head.
        """
        layers, heads = self.weights.shape[:2]
        for flag, value, count in (("layer", layer, layers), ("head", head, heads)):
            if value is not None and not 1 <= value <= count:
                raise InputError(f"--{flag}={value}: {self.model} has {flag}s 1 to {count}")
        chosen = self.weights[layer - 1]
        return chosen.mean(axis=0) if head is None else chosen[head - 1]


def parse_head(value: str) -> int | None:
    """Returns the value of `--head`: a number counted from 1, or None for `mean`.

    Raises:
      InputError: the value is neither.
    """
    if value.strip().lower() == MEAN:
        return None
    if not value.strip().isdecimal():
        raise InputError(f"--head={value}: must be a number from 1, or {MEAN} for the mean of all heads")
    return int(value)


def attention_maps(
    encoder: LoadedModel, text: str, text_pair: str | None = None, max_seq_length: int = 64
) -> tuple[TextTokens, list[AttentionMap]]:
    """Returns the tokens of a text and its maps: one for BERT and AMBERT-Hybrid, two for AMBERT and AMBERT-Combo.

    Args:
      encoder: the model.
      text: the text.
      text_pair: a second text.
      max_seq_length: maximum fine sequence length.
    """
    backbone = encoder.backbone
    pairs: Sequence[str] | None = None if text_pair is None else [text_pair]
    inputs = model_inputs(encoder.tokenizer, [text], pairs, limits(backbone, max_seq_length))
    tokens = read_tokens(encoder.tokenizer, inputs, 0)
    weights = backbone.attention_weights(inputs)
    if backbone.config.one_sequence:
        both = np.stack([layer[0].numpy() for layer in weights["fine"]])
        parts = [("fine + coarse", tokens.fine + tokens.coarse, len(tokens.fine), both)]
    else:
        parts = [
            (
                grain,
                list(getattr(tokens, grain)),
                len(tokens.fine) if grain == "fine" else 0,
                np.stack([layer[0].numpy() for layer in weights[grain]]),
            )
            for grain in backbone.grains
        ]
    return tokens, [AttentionMap(encoder.name, *part) for part in parts]
