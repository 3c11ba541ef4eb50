"""The token matrix of the encoder's matrix products, with or without padding.

Dense layers, layer normalization and activations process each token independently and need no padding. Attention works
on sequences and needs it. `PaddedTokens` keeps padding everywhere and has static shapes, as required by XLA.
`UnpaddedTokens` contains only the real tokens.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence

import tensorflow as tf

from ambert_tf.models.gradients import custom_gradient

# The number of rows is rounded up, so that few different sizes occur, because oneDNN prepares each new size (up to a
# millisecond per product), and GPUs need multiples of 8 for their half-precision units.
MULTIPLE = 16


class TokenMatrix:
    """Converts batches of sequences to one matrix and back.

    Args:
      real: for each batch, bool [batch, length], False at padding.

    Attributes:
      real: as passed to the constructor.
      shapes: [batch, length] of each batch.
      counts: batch * length of each batch.
    """

    def __init__(self, real: Sequence[tf.Tensor]) -> None:
        self.real = real
        self.shapes = [_shape(positions) for positions in real]
        self.counts = [batch * length for batch, length in self.shapes]

    @abstractmethod
    def join(self, parts: Sequence[tf.Tensor]) -> tf.Tensor:
        """Returns [tokens, size], given [batch * length, size] for each batch."""

    @abstractmethod
    def separate(self, tokens: tf.Tensor) -> list[tf.Tensor]:
        """Returns [batch * length, size] for each batch, given [tokens, size]. Padding has arbitrary finite values."""


class PaddedTokens(TokenMatrix):
    """The concatenated batches, including padding."""

    def join(self, parts: Sequence[tf.Tensor]) -> tf.Tensor:
        return tf.concat(parts, axis=0) if len(parts) > 1 else parts[0]

    def separate(self, tokens: tf.Tensor) -> list[tf.Tensor]:
        return tf.split(tokens, self.counts) if len(self.counts) > 1 else [tokens]


class UnpaddedTokens(TokenMatrix):
    """The real tokens in order, with just enough padding to round their number up to a multiple.

    Both directions are gathers, and so are their gradients here, while TensorFlow would compute segment sums. Gathers
    are correct because padding has no gradient: attention masks it, and its weight in the loss is zero.

    Args:
      real: see `TokenMatrix`.
      multiple: the number of rows is rounded up to a multiple of this, as far as there is padding.
    """

    def __init__(self, real: Sequence[tf.Tensor], multiple: int = MULTIPLE) -> None:
        super().__init__(real)
        everywhere = tf.concat([tf.reshape(positions, [-1]) for positions in real], axis=0)
        count = tf.reduce_sum(tf.cast(everywhere, tf.int32))
        # At least one row, because a gather needs a non-empty source.
        filling = (tf.maximum(count, 1) + multiple - 1) // multiple * multiple - count
        kept = everywhere | (tf.cumsum(tf.cast(~everywhere, tf.int32)) <= filling)
        # For each row of a batch, the index of its token. Removed padding maps to the preceding token.
        tokens = tf.maximum(tf.cumsum(tf.cast(kept, tf.int32)) - 1, 0)
        several = len(self.counts) > 1
        self.tokens = tf.split(tokens, self.counts) if several else [tokens]
        masks = tf.split(kept, self.counts) if several else [kept]
        self.masks = [mask[:, tf.newaxis] for mask in masks]
        # For each token, its row in its batch.
        self.rows = [tf.cast(tf.where(mask)[:, 0], tf.int32) for mask in masks]

    def join(self, parts: Sequence[tf.Tensor]) -> tf.Tensor:
        @custom_gradient
        def joined(*parts: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], list[tf.Tensor]]]:
            return self._remove(parts), lambda upstream: self._zero_padding(self._restore(upstream))

        return joined(*parts)

    def separate(self, tokens: tf.Tensor) -> list[tf.Tensor]:
        @custom_gradient
        def separated(tokens: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., tf.Tensor]]:
            return self._restore(tokens), lambda *upstream: self._remove(upstream)

        return list(separated(tokens))

    def _zero_padding(self, parts: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        return [part * tf.cast(mask, part.dtype) for part, mask in zip(parts, self.masks, strict=True)]

    def _remove(self, parts: Sequence[tf.Tensor]) -> tf.Tensor:
        found = [tf.gather(part, rows) for part, rows in zip(parts, self.rows, strict=True)]
        return tf.concat(found, axis=0) if len(found) > 1 else found[0]

    def _restore(self, tokens: tf.Tensor) -> list[tf.Tensor]:
        return [tf.gather(tokens, chosen) for chosen in self.tokens]


def _shape(matrix: tf.Tensor) -> list[int | tf.Tensor]:
    dynamic = tf.shape(matrix)
    return [dynamic[axis] if size is None else size for axis, size in enumerate(matrix.shape)]
