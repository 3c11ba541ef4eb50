"""Fast operations on ranges of flat tensors. `tf.repeat`, for example, would take ten times as long."""

from collections.abc import Mapping

import tensorflow as tf

NOT_FOUND = -1


def string_table(entries: Mapping[str, int]) -> tf.lookup.StaticHashTable:
    """Creates a table from non-empty strings to int32. Unknown keys map to `NOT_FOUND`."""
    return _table(tf.constant([*entries, ""]), [*entries.values(), NOT_FOUND])


def integer_table(entries: Mapping[int, int]) -> tf.lookup.StaticHashTable:
    """Creates a table from non-negative int64 to int32. Unknown keys map to `NOT_FOUND`."""
    return _table(tf.constant([*entries, NOT_FOUND], tf.int64), [*entries.values(), NOT_FOUND])


def _table(keys: tf.Tensor, values: list[int]) -> tf.lookup.StaticHashTable:
    # The additional last entry is needed because a table cannot be empty.
    initializer = tf.lookup.KeyValueTensorInitializer(keys, tf.constant(values, tf.int32))
    return tf.lookup.StaticHashTable(initializer, default_value=NOT_FOUND)


def marks(positions: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Marks positions.

    Args:
      positions: int32 [n], in any order, each below `size`. Duplicates are allowed.
      size: int32 scalar.

    Returns:
      int32 [size], 1 at the positions, 0 elsewhere.
    """
    return tf.raw_ops.SparseToDense(
        sparse_indices=positions,
        output_shape=[size],
        sparse_values=1,
        default_value=0,
        validate_indices=False,
    )


def put(positions: tf.Tensor, values: tf.Tensor, size: tf.Tensor, default: int) -> tf.Tensor:
    """Returns a tensor [size] with `values` at `positions`, int32 [n], and `default` elsewhere."""
    return tf.raw_ops.SparseToDense(
        sparse_indices=positions,
        output_shape=[size],
        sparse_values=values,
        default_value=tf.constant(default, values.dtype),
        validate_indices=False,
    )


def range_index(starts: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Returns the index of the range that each position belongs to.

    Args:
      starts: int32 [ranges], the start of each range. The first range starts at 0, and no range is empty.
      size: int32 scalar, the end of the last range.

    Returns:
      int32 [size].
    """
    return tf.cumsum(marks(starts, size)) - 1


def where(mask: tf.Tensor) -> tf.Tensor:
    """Returns the positions at which a mask, bool [n], is true, as int32."""
    return tf.cast(tf.where(mask)[:, 0], tf.int32)


def previous(values: tf.Tensor) -> tf.Tensor:
    """Returns the values shifted by one position, with a zero first."""
    return tf.pad(values, [[1, 0]])[: tf.size(values)]


def ends_of(starts: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Returns the ends of contiguous ranges that start at `starts`, int32 [ranges]. The last one ends at `size`."""
    return tf.concat([starts[1:], [size]], 0)[: tf.size(starts)]


def ranges(starts: tf.Tensor, ends: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the row splits, int32 [n + 1], and the flat values of `n` integer ranges; `ends` are exclusive."""
    return tuple(tf.raw_ops.RaggedRange(starts=starts, limits=ends, deltas=1, Tsplits=tf.int32))


def row_of(splits: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Returns the row that each of `size` values belongs to, int32 [size].

    Args:
      splits: int32 [rows + 1], the row splits. Rows may be empty.
      size: int32 scalar, the last split.
    """
    values = tf.range(size)
    return tf.raw_ops.UpperBound(sorted_inputs=splits[tf.newaxis], values=values[tf.newaxis], out_type=tf.int32)[0] - 1


def row_lengths(splits: tf.Tensor) -> tf.Tensor:
    """Returns the row lengths, int32 [rows], from the row splits, int32 [rows + 1]."""
    return splits[1:] - splits[:-1]
