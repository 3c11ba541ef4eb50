"""Assembles the features of records from segments: `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]` at both grains."""

import numpy as np

from ambert_tf.pretraining_data.examples import NEXT_SENTENCE_FEATURE, Column
from ambert_tf.pretraining_data.packing import Sequences, TokenizedUnit


def assemble(
    unit: TokenizedUnit, sequences: Sequences, first: int, last: int, cls_id: int, sep_id: int
) -> dict[str, Column]:
    """Returns the unmasked features of sequences `first` to `last` (exclusive)."""
    segments = sequences.segments[first:last]
    starts, ends = segments[:, 0::2], segments[:, 1::2]
    fine_starts, fine_ends = unit.fine_splits[starts], unit.fine_splits[ends]

    coarse_ids, coarse_segment_ids, coarse_splits = _layout(unit.coarse_ids, starts, ends, cls_id, sep_id)
    fine_ids, fine_segment_ids, fine_splits = _layout(unit.fine_ids, fine_starts, fine_ends, cls_id, sep_id)

    # Number of fine tokens in each coarse token of the sequences, 1 for [CLS] and [SEP].
    held, _, _ = _layout(np.diff(unit.fine_splits), starts, ends, 1, 1)
    rows = np.repeat(coarse_splits[:-1], np.diff(coarse_splits))
    fine_to_coarse = np.repeat((np.arange(len(held)) - rows).astype(np.int32), held)

    batch = {
        "fine_input_ids": (fine_ids, fine_splits),
        "fine_segment_ids": (fine_segment_ids, fine_splits),
        "coarse_input_ids": (coarse_ids, coarse_splits),
        "coarse_segment_ids": (coarse_segment_ids, coarse_splits),
        "fine_to_coarse": (fine_to_coarse, fine_splits),
    }
    if sequences.next_sentence_label is not None:
        labels = sequences.next_sentence_label[first:last]
        batch[NEXT_SENTENCE_FEATURE] = labels, np.arange(len(labels) + 1)
    return batch


def _layout(
    values: np.ndarray, starts: np.ndarray, ends: np.ndarray, cls_value: int, sep_value: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Concatenates segments `values[start:end]`, [sequences, segments], with the values of [CLS] and [SEP].

    Returns:
      Values and segment ids (both int32, flat), and row splits.
    """
    lengths = ends - starts
    # [CLS] comes before the first segment, [SEP] after each segment.
    row_splits = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(1 + (lengths + 1).sum(axis=1), out=row_splits[1:])
    segment_ends = row_splits[:-1, None] + np.cumsum(lengths + 1, axis=1)
    laid = np.full(row_splits[-1], sep_value, np.int32)
    laid[row_splits[:-1]] = cls_value
    places = _ranges((segment_ends - lengths).ravel(), lengths.ravel())
    laid[places] = values[_ranges(starts.ravel(), lengths.ravel())]
    segment_ids = np.zeros(row_splits[-1], np.int32)
    if lengths.shape[1] > 1:
        segment_ids[_ranges(segment_ends[:, 0] + 1, lengths[:, 1] + 1)] = 1
    return laid, segment_ids, row_splits


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Returns the concatenation of `arange(start, start + length)`."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(lengths.sum())
