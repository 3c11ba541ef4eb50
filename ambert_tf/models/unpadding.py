"""How the tokens of several batches of sequences stand in the one matrix that the encoder's products take.

What a token goes through alone (products with weights, normalisation, activation) needs no padding; attention, inside
a sequence, does. `PaddedRows` keeps padding everywhere and has static shapes, as XLA wants them; `PackedRows` has the
real tokens alone.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence

import tensorflow as tf

# Matrices of few different sizes: oneDNN prepares each one anew (up to a millisecond a product), and what GPUs have for
# half precision wants multiples of 8.
MULTIPLE = 16


class Rows:
    """The way from batches of sequences to one matrix, and back.

    Args:
      real: for each batch bool [batch, length], False at padding.

    Attributes:
      real: the same.
      shapes: [batch, length] of each batch.
      counts: their products.
    """

    def __init__(self, real: Sequence[tf.Tensor]) -> None:
        self.real = real
        self.shapes = [_shape(positions) for positions in real]
        self.counts = [batch * length for batch, length in self.shapes]

    @abstractmethod
    def join(self, parts: Sequence[tf.Tensor]) -> tf.Tensor:
        """Returns [tokens, size] of one [batch * length, size] a batch."""

    @abstractmethod
    def separate(self, tokens: tf.Tensor) -> list[tf.Tensor]:
        """Returns for each batch [batch * length, size] of [tokens, size]; any finite values stand at padding."""


class PaddedRows(Rows):
    """The batches one after the other, padding and all."""

    def join(self, parts: Sequence[tf.Tensor]) -> tf.Tensor:
        return tf.concat(parts, axis=0) if len(parts) > 1 else parts[0]

    def separate(self, tokens: tf.Tensor) -> list[tf.Tensor]:
        return tf.split(tokens, self.counts) if len(self.counts) > 1 else [tokens]


class PackedRows(Rows):
    """The real tokens alone, in the same order, and as much padding as fills up a multiple of `multiple`.

    Both ways are gathers, and so are both gradients, which TensorFlow would take as sums over segments: nothing may
    flow back from padding, and nothing does where padding is masked in the attention and weighs nothing in the loss.

    Args:
      real: as above.
      multiple: the number of rows is one of it, or all there are.
    """

    def __init__(self, real: Sequence[tf.Tensor], multiple: int = MULTIPLE) -> None:
        super().__init__(real)
        everywhere = tf.concat([tf.reshape(positions, [-1]) for positions in real], axis=0)
        count = tf.reduce_sum(tf.cast(everywhere, tf.int32))
        # At least one: without any token there would be nothing to gather from.
        filling = (tf.maximum(count, 1) + multiple - 1) // multiple * multiple - count
        kept = everywhere | (tf.cumsum(tf.cast(~everywhere, tf.int32)) <= filling)
        # For each row of a batch its token: at padding that is left out the one before it.
        tokens = tf.maximum(tf.cumsum(tf.cast(kept, tf.int32)) - 1, 0)
        several = len(self.counts) > 1
        self.tokens = tf.split(tokens, self.counts) if several else [tokens]
        masks = tf.split(kept, self.counts) if several else [kept]
        self.masks = [mask[:, tf.newaxis] for mask in masks]
        # For each token its row in its batch.
        self.rows = [tf.cast(tf.where(mask)[:, 0], tf.int32) for mask in masks]

    def join(self, parts: Sequence[tf.Tensor]) -> tf.Tensor:
        @tf.custom_gradient
        def joined(*parts: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], list[tf.Tensor]]]:
            return self._take(parts), lambda upstream: self._blank(self._give(upstream))

        return joined(*parts)

    def separate(self, tokens: tf.Tensor) -> list[tf.Tensor]:
        @tf.custom_gradient
        def separated(tokens: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., tf.Tensor]]:
            return self._give(tokens), lambda *upstream: self._take(upstream)

        return list(separated(tokens))

    def _blank(self, parts: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        return [part * tf.cast(mask, part.dtype) for part, mask in zip(parts, self.masks, strict=True)]

    def _take(self, parts: Sequence[tf.Tensor]) -> tf.Tensor:
        found = [tf.gather(part, rows) for part, rows in zip(parts, self.rows, strict=True)]
        return tf.concat(found, axis=0) if len(found) > 1 else found[0]

    def _give(self, tokens: tf.Tensor) -> list[tf.Tensor]:
        return [tf.gather(tokens, chosen) for chosen in self.tokens]


def _shape(matrix: tf.Tensor) -> list[int | tf.Tensor]:
    dynamic = tf.shape(matrix)
    return [dynamic[axis] if size is None else size for axis, size in enumerate(matrix.shape)]
