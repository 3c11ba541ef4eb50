"""`MaskFiller`: the most probable tokens at the [MASK]s of a text, from the masked-LM heads of both grains."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.models.ambert_masked_lm import AmbertMaskedLM
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

MASK = "[MASK]"
_MASKS = re.compile(r"(?:\[MASK\])+")
# A Chinese character that is not in the vocabulary stands for each [MASK] in tokenization. It is a word of its own.
_RARE_CHARACTERS = range(0x4DB5, 0x3400, -1)


class Fill(NamedTuple):
    """A token for a [MASK] and its probability."""

    token: str
    score: float


class FilledMask(NamedTuple):
    """The predictions for one [MASK], or for several adjacent ones, which mask one word together, as in training.

    Attributes:
      fine: for each [MASK], the most probable fine tokens. Empty if the model has no fine grain.
      coarse: the most probable coarse tokens. Empty if the model has no coarse grain.
    """

    fine: list[list[Fill]]
    coarse: list[Fill]


class MaskFiller:
    """Fills the [MASK]s of texts.

    Args:
      tokenizer: the model's tokenizer.
      model: a pre-trained model with its masked-LM heads.
    """

    def __init__(self, tokenizer: MultiGrainedTokenizer, model: AmbertMaskedLM) -> None:
        self._tokenizer = tokenizer
        self._model = model
        known = set(tokenizer.fine_vocab)
        self._stand_in = next(chr(code) for code in _RARE_CHARACTERS if chr(code) not in known)
        self._vocabularies = {"fine": tokenizer.fine_vocab, "coarse": tokenizer.coarse_vocab}

    def __call__(self, texts: Sequence[str], top_k: int = 5) -> list[list[FilledMask]]:
        """Returns the predictions for the [MASK]s of each text, in order.

        Args:
          texts: texts with [MASK]s.
          top_k: number of tokens per [MASK].

        Raises:
          InputError: a text has no [MASK], or one after the model's last position.
        """
        found: list[list[FilledMask]] = []
        for index, text in enumerate(texts):
            lengths = [len(run) // len(MASK) for run in _MASKS.findall(text)]
            if not lengths:
                raise InputError(f"text[{index}] has no {MASK}: {text[:60]!r}")
            found.append(self._fill(index, text, lengths, top_k))
        return found

    def _fill(self, index: int, text: str, lengths: Sequence[int], top_k: int) -> list[FilledMask]:
        inputs = self._inputs(index, text, lengths)
        logits = self._model(inputs)
        tops = {grain: self._top(grain, logits[grain].numpy(), top_k) for grain in self._model.config.grains}
        fills, start = [], 0
        for number, length in enumerate(lengths):
            fine = tops.get("fine", [])[start : start + length]
            fills.append(FilledMask(fine, tops["coarse"][number] if "coarse" in tops else []))
            start += length
        return fills

    def _inputs(self, index: int, text: str, lengths: Sequence[int]) -> dict[str, tf.Tensor]:
        """Returns the inputs of the model for one text. Adjacent [MASK]s are one coarse token."""
        tokenizer, longest = self._tokenizer, self._model.config.max_position_embeddings
        content = text.replace(MASK, self._stand_in).encode()
        stand_in = self._stand_in.encode()
        places = [match.start() for match in re.finditer(re.escape(stand_in), content)]
        if len(places) != sum(lengths):
            raise InputError(f"text[{index}] contains {self._stand_in}, which stands for {MASK} in tokenization")
        firsts = {places[start] for start in np.cumsum([0, *lengths[:-1]])}
        tokens = tokenizer(tf.constant([content]))
        inputs = {}
        for grain in self._model.config.grains:
            ids = getattr(tokens, f"{grain}_ids")[0].numpy()
            starts = getattr(tokens, f"{grain}_starts")[0].numpy()
            masked = np.isin(starts, places)
            kept = ~masked | np.isin(starts, list(firsts)) if grain == "coarse" else np.ones_like(masked)
            ids = np.where(masked, tokenizer.mask_id, ids)[kept]
            ids = np.concatenate([[tokenizer.cls_id], ids, [tokenizer.sep_id]]).astype(np.int32)
            positions = np.flatnonzero(ids == tokenizer.mask_id).astype(np.int32)
            if positions[-1] >= longest - 1:
                raise InputError(f"text[{index}] has a {MASK} after the model's {longest} positions")
            if len(ids) > longest:
                ids = np.concatenate([ids[: longest - 1], [tokenizer.sep_id]]).astype(np.int32)
            inputs[f"{grain}_input_ids"] = tf.constant(ids[np.newaxis])
            inputs[f"{grain}_segment_ids"] = tf.zeros_like(inputs[f"{grain}_input_ids"])
            inputs[f"{grain}_masked_lm_positions"] = tf.constant(positions[np.newaxis])
            inputs[f"{grain}_masked_lm_weights"] = tf.ones([1, len(positions)])
        return inputs

    def _top(self, grain: str, logits: np.ndarray[Any, Any], top_k: int) -> list[list[Fill]]:
        vocabulary = self._vocabularies[grain]
        found = tf.math.top_k(tf.nn.softmax(logits[:, : len(vocabulary)]), min(top_k, len(vocabulary)))
        return [
            [Fill(vocabulary[index], score) for index, score in zip(indices, scores, strict=True)]
            for indices, scores in zip(found.indices.numpy().tolist(), found.values.numpy().tolist(), strict=True)
        ]
