"""Masks tokens at both grains for masked language modelling.

15 % of the *coarse* tokens are chosen, and the fine tokens inside a chosen coarse token are masked with it (AMBERT,
§3.3 and §4.1). BERT's 80/10/10 rule (`[MASK]`, a random token, unchanged) is drawn once per chosen coarse token and
applied to both grains, so that neither grain reveals what the other hides.

The same function masks static records when they are created, and dynamic records each time they are read. All random
draws derive from the key of the sequence (see `random_keys`), so its masks do not depend on the batch.
"""

import dataclasses
import math
import re
from typing import Any

import numpy as np
import tensorflow as tf

from ambert_tf.pretraining_data.random_keys import tf_fold, tf_uniform, tf_uniform_below

GRAINS = ("fine", "coarse")

_MASK_SHARE = 0.8
_RANDOM_SHARE = 0.1

# The action on a chosen coarse token, and on each fine token inside it.
_TO_MASK, _TO_RANDOM, _KEEP = 1, 2, 3

# Numbers folded into the key of a token or a sequence for independent random draws.
_RULE_DRAW, _REPLACEMENT_DRAW = 1, 2
_FINE_DRAWS = 2**40

_UNUSED = re.compile(r"\[unused\d+\]")


@dataclasses.dataclass(frozen=True)
class MaskingSettings:
    """Settings of masking.

    Attributes:
      mask_id: id of `[MASK]`, the same in both grains.
      special_ids: ids of `[CLS]` and `[SEP]`, which are never chosen.
      fine_replacement_ids: fine ids from which random replacements are drawn.
      coarse_replacement_ids: coarse ids from which random replacements are drawn.
      masked_lm_prob: fraction of the coarse tokens to choose.
      max_fine_predictions: maximum number of masked fine tokens per sequence.
      max_coarse_predictions: maximum number of masked coarse tokens per sequence.
    """

    mask_id: int
    special_ids: tuple[int, int]
    fine_replacement_ids: np.ndarray
    coarse_replacement_ids: np.ndarray
    masked_lm_prob: float
    max_fine_predictions: int
    max_coarse_predictions: int

    @classmethod
    def for_tokenizer(
        cls,
        tokenizer: Any,
        *,
        max_seq_length: int,
        max_coarse_seq_length: int | None = None,
        masked_lm_prob: float = 0.15,
        max_predictions_per_seq: int | None = None,
        max_coarse_predictions_per_seq: int | None = None,
    ) -> "MaskingSettings":
        """Returns the settings for a tokenizer's vocabularies.

        By default, the number of masked tokens is effectively unlimited. The fine limit also applies to the coarse
        grain, unless the latter has its own.

        Args:
          tokenizer: a `MultiGrainedTokenizer`.
          max_seq_length: maximum fine sequence length.
          max_coarse_seq_length: maximum coarse sequence length. Defaults to `max_seq_length`.
          masked_lm_prob: fraction of the coarse tokens to choose.
          max_predictions_per_seq: maximum number of masked tokens per sequence and grain.
          max_coarse_predictions_per_seq: maximum number of masked coarse tokens per sequence.
        """
        specials = {tokenizer.pad_id, tokenizer.unk_id, tokenizer.cls_id, tokenizer.sep_id, tokenizer.mask_id}
        fine, coarse = default_max_predictions(masked_lm_prob, max_seq_length, max_coarse_seq_length or max_seq_length)
        if max_predictions_per_seq is not None:
            fine = coarse = max_predictions_per_seq
        if max_coarse_predictions_per_seq is not None:
            coarse = max_coarse_predictions_per_seq
        return cls(
            mask_id=tokenizer.mask_id,
            special_ids=(tokenizer.cls_id, tokenizer.sep_id),
            fine_replacement_ids=replacement_ids(tokenizer.fine_vocab, specials),
            coarse_replacement_ids=replacement_ids(tokenizer.coarse_vocab, specials),
            masked_lm_prob=masked_lm_prob,
            max_fine_predictions=fine,
            max_coarse_predictions=coarse,
        )


def default_max_predictions(masked_lm_prob: float, fine_length: int, coarse_length: int) -> tuple[int, int]:
    """Returns limits on masked fine and coarse tokens that sequences of these lengths practically never reach."""
    # A chosen coarse token with many fine tokens can raise the fraction of fine tokens well above masked_lm_prob.
    return math.ceil(1.6 * masked_lm_prob * fine_length) + 4, math.ceil(masked_lm_prob * coarse_length) + 1


def replacement_ids(vocabulary: list[str], special_ids: set[int]) -> np.ndarray:
    """Returns the ids (int32) of a vocabulary that are neither special tokens nor `[unusedN]`."""
    ids = [i for i, token in enumerate(vocabulary) if i not in special_ids and not _UNUSED.fullmatch(token)]
    return np.asarray(ids, np.int32)


def mask_sequences(inputs: dict[str, tf.RaggedTensor], keys: tf.Tensor, rule: MaskingSettings) -> dict[str, Any]:
    """Masks a batch of sequences at both grains.

    In each sequence, coarse tokens other than `[CLS]` and `[SEP]` are chosen at random without replacement. Their
    number is `masked_lm_prob` times the number of these tokens, rounded, and at least one. Tokens beyond the limit of
    either grain are dropped, in the random order of choice. A coarse token with more fine tokens than the limit cannot
    be chosen.

    Args:
      inputs: int32 ragged `fine_input_ids`, `coarse_input_ids` and `fine_to_coarse`, [batch, (length)]. Other entries
        are returned unchanged.
      keys: uint64 [batch], the key of each sequence.
      rule: the masking settings.

    Returns:
      `inputs` with masked `g_input_ids` and, for each grain g, `g_masked_lm_positions` (ascending) and
      `g_masked_lm_ids` (the original ids), int32 [batch, (g_predictions)].
    """
    fine, coarse, fine_to_coarse = (
        inputs[name].with_row_splits_dtype(tf.int64)
        for name in ("fine_input_ids", "coarse_input_ids", "fine_to_coarse")
    )
    coarse_rows = coarse.value_rowids()
    coarse_columns = tf.range(tf.shape(coarse_rows, tf.int64)[0]) - tf.gather(coarse.row_starts(), coarse_rows)
    holder = tf.gather(coarse.row_starts(), fine.value_rowids()) + tf.cast(fine_to_coarse.flat_values, tf.int64)

    token_keys = tf_fold(tf.gather(keys, coarse_rows), coarse_columns)
    chosen = _choose(coarse, holder, token_keys, rule)
    chosen_keys = tf.gather(token_keys, chosen)
    draw = tf_uniform(tf_fold(chosen_keys, tf.constant(_RULE_DRAW)))
    action = tf.where(draw < _MASK_SHARE + _RANDOM_SHARE, _TO_RANDOM, _KEEP)
    action = tf.where(draw < _MASK_SHARE, _TO_MASK, action)
    action_of_coarse = tf.scatter_nd(chosen[:, None], action, tf.shape(coarse.flat_values, tf.int64))

    action_of_fine = tf.gather(action_of_coarse, holder)
    fine_chosen = tf.where(action_of_fine > 0)[:, 0]
    rows, columns = _places(fine, fine_chosen)
    fine_keys = tf_fold(tf.gather(keys, rows), columns + _FINE_DRAWS)

    masked: dict[str, Any] = dict(inputs)
    masked |= _replace(
        "coarse", coarse, chosen, action, tf_fold(chosen_keys, tf.constant(_REPLACEMENT_DRAW)),
        rule.coarse_replacement_ids, rule.mask_id,
    )  # fmt: skip
    masked |= _replace(
        "fine", fine, fine_chosen, tf.gather(action_of_fine, fine_chosen), fine_keys,
        rule.fine_replacement_ids, rule.mask_id,
    )  # fmt: skip
    return masked


def _places(ragged: tf.RaggedTensor, chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the row and column of each index (int64, ascending) into the flat values."""
    rows = tf.searchsorted(ragged.row_splits, chosen, side="right", out_type=tf.int64) - 1
    return rows, chosen - tf.gather(ragged.row_splits, rows)


def _choose(coarse: tf.RaggedTensor, holder: tf.Tensor, token_keys: tf.Tensor, rule: MaskingSettings) -> tf.Tensor:
    """Returns the indices of the chosen tokens in `coarse.flat_values`, int64, ascending."""
    ids = coarse.flat_values
    total = tf.shape(ids, tf.int64)[0]
    cls_id, sep_id = rule.special_ids
    candidates = (ids != cls_id) & (ids != sep_id)
    candidate_counts = tf.math.segment_sum(tf.cast(candidates, tf.int64), coarse.value_rowids())
    # segment_sum ends at the last non-empty row.
    candidate_counts = tf.pad(candidate_counts, [[0, coarse.nrows() - tf.shape(candidate_counts, tf.int64)[0]]])
    wanted_counts = tf.round(rule.masked_lm_prob * tf.cast(candidate_counts, tf.float64))
    wanted_counts = tf.cast(wanted_counts, tf.int64)
    wanted_counts = tf.clip_by_value(wanted_counts, 1, rule.max_coarse_predictions)

    fine_counts = tf.math.unsorted_segment_sum(tf.ones_like(holder), holder, total)
    eligible = candidates & (fine_counts <= rule.max_fine_predictions)
    priority = tf.cast(tf.bitwise.right_shift(token_keys, tf.constant(1, tf.uint64)), tf.int64)
    priority = tf.where(eligible, priority, tf.constant(-1, tf.int64))
    priority = tf.RaggedTensor.from_row_splits(priority, coarse.row_splits, validate=False).to_tensor(-1)
    most = tf.minimum(tf.reduce_max(tf.concat([wanted_counts, [0]], 0)), tf.shape(priority, tf.int64)[1])
    top, columns = tf.math.top_k(priority, tf.cast(most, tf.int32))
    taken = (top >= 0) & (tf.range(most)[None, :] < wanted_counts[:, None])
    # Indices that are not taken may be out of range. They are replaced by 0 and ignored.
    index = tf.where(taken, coarse.row_starts()[:, None] + tf.cast(columns, tf.int64), 0)
    fine_taken = tf.where(taken, tf.gather(tf.pad(fine_counts, [[0, 1]]), index), 0)
    taken &= tf.cumsum(fine_taken, axis=1) <= rule.max_fine_predictions
    chosen = tf.boolean_mask(index, taken)
    return tf.where(tf.scatter_nd(chosen[:, None], tf.ones_like(chosen), [total]) > 0)[:, 0]


def _replace(
    grain: str,
    original: tf.RaggedTensor,
    chosen: tf.Tensor,
    action: tf.Tensor,
    keys: tf.Tensor,
    replacements: np.ndarray,
    mask_id: int,
) -> dict[str, tf.RaggedTensor]:
    """Applies `action` to the chosen tokens (indices into the flat values) of one grain."""
    ids = original.flat_values
    chosen_ids = tf.gather(ids, chosen)
    drawn = tf.gather(tf.constant(replacements, ids.dtype), tf_uniform_below(keys, len(replacements)))
    new_ids = tf.where(
        action == _TO_MASK, tf.cast(mask_id, ids.dtype), tf.where(action == _TO_RANDOM, drawn, chosen_ids)
    )
    splits = tf.searchsorted(chosen, original.row_splits, out_type=tf.int64)
    positions = tf.cast(_places(original, chosen)[1], tf.int32)
    return {
        f"{grain}_input_ids": original.with_flat_values(tf.tensor_scatter_nd_update(ids, chosen[:, None], new_ids)),
        f"{grain}_masked_lm_positions": tf.RaggedTensor.from_row_splits(positions, splits, validate=False),
        f"{grain}_masked_lm_ids": tf.RaggedTensor.from_row_splits(chosen_ids, splits, validate=False),
    }
