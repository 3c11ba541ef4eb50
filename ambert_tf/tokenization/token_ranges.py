"""TensorFlow ops that cut tokenized texts so that both grains cover the same text.

They work on flat values and row splits. With ragged tensors, they would take ten times as many operations and several
seconds to trace.
"""

import tensorflow as tf

from ambert_tf.tokenization import flat
from ambert_tf.tokenization.tokenizer import Tokens


class TokenRanges:
    """Extracts ranges of coarse tokens together with the fine tokens inside them.

    Args:
      tokens: the tokens of a batch of texts.

    Attributes:
      fine_lengths, coarse_lengths: int32 [batch], the number of tokens in each text.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._fine_splits = tokens.fine_ids.row_splits
        self._coarse_splits = tokens.coarse_ids.row_splits
        self.fine_lengths = flat.row_lengths(self._fine_splits)
        self.coarse_lengths = flat.row_lengths(self._coarse_splits)
        fine_to_coarse = tokens.fine_to_coarse.flat_values
        row = flat.row_of(self._fine_splits, tf.size(fine_to_coarse))
        # The index in the batch of each fine token's coarse token, in ascending order.
        self._holder = fine_to_coarse + tf.gather(self._coarse_splits, row)

    def coarse_at(self, rows: tf.Tensor, fine: tf.Tensor) -> tf.Tensor:
        """Returns the coarse token that contains a fine token.

        Args:
          rows: int32 [n], the indices of texts.
          fine: int32 [n], the index of a fine token in each text, or the text's number of fine tokens.

        Returns:
          int32 [n]. Where `fine` is the number of fine tokens, this is the number of coarse tokens.
        """
        position = tf.gather(self._fine_splits, rows) + fine
        holder = tf.gather(tf.concat([self._holder, [0]], 0), position) - tf.gather(self._coarse_splits, rows)
        return tf.where(fine < tf.gather(self.fine_lengths, rows), holder, tf.gather(self.coarse_lengths, rows))

    def fine_at(self, rows: tf.Tensor, coarse: tf.Tensor) -> tf.Tensor:
        """Returns the first fine token of a coarse token. The number of coarse tokens gives that of fine tokens."""
        wanted = tf.gather(self._coarse_splits, rows) + coarse
        return tf.searchsorted(self._holder, wanted) - tf.gather(self._fine_splits, rows)

    def take(self, rows: tf.Tensor, begins: tf.Tensor, ends: tf.Tensor) -> Tokens:
        """Returns a range of coarse tokens of each text, with the fine tokens inside it.

        Args:
          rows: int32 [n], the indices of texts, in any order. Duplicates are allowed.
          begins, ends: int32 [n], the first coarse token of each range, and the one after its last.
        """
        fine_starts, coarse_starts = tf.gather(self._fine_splits, rows), tf.gather(self._coarse_splits, rows)
        fine_splits, fine_index = flat.ranges(
            fine_starts + self.fine_at(rows, begins), fine_starts + self.fine_at(rows, ends)
        )
        coarse_splits, coarse_index = flat.ranges(coarse_starts + begins, coarse_starts + ends)
        part = {}
        for name, values in self._tokens._asdict().items():
            splits, index = (coarse_splits, coarse_index) if name.startswith("coarse") else (fine_splits, fine_index)
            taken = tf.gather(values.flat_values, index)
            if name == "fine_to_coarse":
                taken -= tf.gather(begins, flat.row_of(fine_splits, tf.size(index)))
            part[name] = tf.RaggedTensor.from_row_splits(taken, splits, validate=False)
        return Tokens(**part)
