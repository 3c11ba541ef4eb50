"""Warm start, which initializes coarse token embeddings to the mean of their fine tokens' embeddings."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

_TEXTS_AT_ONCE = 8192


class Composition(NamedTuple):
    """The fine tokens of each coarse token.

    Attributes:
      ids: int32 [pieces], the fine tokens of all coarse tokens, concatenated.
      starts: int64 [coarse_vocab], the start of each coarse token's fine tokens. Each has at least one.
    """

    ids: np.ndarray
    starts: np.ndarray

    def means(self, fine: np.ndarray) -> np.ndarray:
        """Returns the mean over each coarse token's rows, float32 [coarse_vocab, …].

        Args:
          fine: the token embeddings or the output biases, float32 [fine_vocab, …].
        """
        ends = np.append(self.starts[1:], self.ids.size)
        means = np.empty((self.starts.size, *fine.shape[1:]), np.float32)
        for first in range(0, self.starts.size, _TEXTS_AT_ONCE):  # in blocks, to save memory
            part = slice(first, first + _TEXTS_AT_ONCE)
            starts, ends_of_part = self.starts[part], ends[part]
            rows = fine[self.ids[starts[0] : ends_of_part[-1]]].astype(np.float64)
            sums = np.add.reduceat(rows, starts - starts[0], axis=0)
            counts = (ends_of_part - starts).reshape(-1, *[1] * (fine.ndim - 1))
            means[part] = sums / counts
        return means


def composition(tokenizer: MultiGrainedTokenizer) -> Composition:
    """Returns the fine tokens of each coarse token of a tokenizer.

    A coarse token that is in the fine vocabulary consists of itself. Words and phrases are split by the tokenizer.
    """
    size = tokenizer.fine_vocab_size
    ids = [np.arange(size, dtype=np.int32)]
    counts = [np.ones(size, np.int64)]
    entries = tokenizer.coarse_vocab[size:]
    for first in range(0, len(entries), _TEXTS_AT_ONCE):
        fine = tokenizer(tf.constant(entries[first : first + _TEXTS_AT_ONCE])).fine_ids
        lengths, values = fine.row_lengths().numpy(), fine.flat_values.numpy()
        # An entry without pieces does not occur in any text, so its embedding does not matter.
        empty = np.flatnonzero(lengths == 0)
        ids.append(np.insert(values, fine.row_splits.numpy()[empty], tokenizer.unk_id))
        counts.append(np.maximum(lengths, 1))
    all_counts = np.concatenate(counts)
    return Composition(np.concatenate(ids), np.cumsum(all_counts) - all_counts)
