"""Linear-chain conditional random fields and constrained decoding, in graph (Lafferty et al., 2001).

A transition matrix is float32 [tags + 1, tags + 1]: the score of the tag of a row before that of a column. The last row
is the start of a sequence, the last column its end.
"""

from collections.abc import Sequence

import tensorflow as tf

# Score of a transition that is not allowed. Far below all others, and the sum of a few is a float32 too.
FORBIDDEN = -1e8
# Probabilities below this one, relative to the most probable tag, are rounded up to it.
SMALLEST = 1e-37


def constrained(transitions: tf.Tensor, allowed: Sequence[Sequence[bool]]) -> tf.Tensor:
    """Returns transitions that are `FORBIDDEN` where `allowed`, of the same shape, is false."""
    return tf.where(tf.constant(allowed), transitions, FORBIDDEN)


def packed(scores: tf.Tensor, tags: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Moves the positions with a tag to the beginning of each row.

    Args:
      scores: float32 [batch, length, tags].
      tags: int32 [batch, length], -1 for a position without a tag.

    Returns:
      Both in the new order, and the number of positions with a tag, int32 [batch].
    """
    there = tags >= 0
    order = tf.argsort(tf.cast(~there, tf.int32), axis=1, stable=True)
    lengths = tf.reduce_sum(tf.cast(there, tf.int32), axis=1)
    return tf.gather(scores, order, batch_dims=1), tf.gather(tags, order, batch_dims=1), lengths


def log_likelihood(scores: tf.Tensor, tags: tf.Tensor, transitions: tf.Tensor) -> tf.Tensor:
    """Returns the log probability of sequences of tags, float32 [batch]; 0 for an empty one.

    Args:
      scores: float32 [batch, length, tags].
      tags: int32 [batch, length]; positions with -1 are left out.
      transitions: float32 [tags + 1, tags + 1].
    """
    scores, tags, lengths = packed(scores, tags)
    path = path_scores(scores, tf.maximum(tags, 0), lengths, transitions)
    return tf.where(lengths > 0, path - log_partition(scores, lengths, transitions), 0.0)


def path_scores(scores: tf.Tensor, tags: tf.Tensor, lengths: tf.Tensor, transitions: tf.Tensor) -> tf.Tensor:
    """Returns the sum of the scores and transitions along sequences of tags, float32 [batch].

    Args:
      scores: float32 [batch, length, tags].
      tags: int32 [batch, length].
      lengths: int32 [batch].
      transitions: float32 [tags + 1, tags + 1].
    """
    width = tf.shape(transitions)[0]
    there = tf.sequence_mask(lengths, tf.shape(tags)[1])
    own = tf.where(there, tf.gather(scores, tags, batch_dims=2), 0.0)
    # The end follows the last tag, so that each row has one transition more than tags.
    ends = tf.fill([tf.shape(tags)[0], 1], width - 1)
    padded = tf.concat([tf.where(there, tags, width - 1), ends], axis=1)
    steps = padded + tf.concat([ends, padded[:, :-1]], axis=1) * width
    real = tf.sequence_mask(lengths + 1, tf.shape(padded)[1])
    moves = tf.where(real, tf.gather(tf.reshape(transitions, [-1]), steps), 0.0)
    return tf.reduce_sum(own, axis=1) + tf.reduce_sum(moves, axis=1)


def log_partition(scores: tf.Tensor, lengths: tf.Tensor, transitions: tf.Tensor) -> tf.Tensor:
    """Returns the log of the sum of exponentials of all sequences' scores, float32 [batch]; arguments as above."""
    between = tf.exp(transitions[:-1, :-1])
    steps = tf.transpose(scores, [1, 0, 2])
    length = tf.shape(steps)[0]

    def log_product(state: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
        # Matrix products of probabilities, because a log of sums of exponentials takes [batch, tags, tags] of memory.
        highest = tf.stop_gradient(tf.reduce_max(state, axis=1, keepdims=True))
        return tf.math.log(tf.maximum(tf.matmul(tf.exp(state - highest), matrix), SMALLEST)) + highest

    def body(index: tf.Tensor, state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        following = log_product(state, between) + steps[index]
        return index + 1, tf.where((index < lengths)[:, tf.newaxis], following, state)

    # One step more than there are for empty sequences, whose result is not used.
    first = tf.concat([steps, tf.zeros([1, tf.shape(scores)[0], tf.shape(scores)[2]])], axis=0)[0]
    state = transitions[-1, :-1] + first
    _, state = tf.while_loop(
        lambda index, _: index < length, body, (tf.constant(1), state), maximum_iterations=scores.shape[1]
    )
    return log_product(state, tf.exp(transitions[:-1, -1:]))[:, 0]


def viterbi(scores: tf.Tensor, lengths: tf.Tensor, transitions: tf.Tensor) -> tf.Tensor:
    """Returns the sequences with the highest scores, int32 [batch, length]; 0 after the end of a sequence.

    Args:
      scores: float32 [batch, length, tags].
      lengths: int32 [batch].
      transitions: float32 [tags + 1, tags + 1].
    """
    between, end = transitions[:-1, :-1], transitions[:-1, -1]
    steps = tf.transpose(scores, [1, 0, 2])
    length, batch, width = tf.shape(steps)[0], tf.shape(scores)[0], tf.shape(scores)[2]
    itself = tf.broadcast_to(tf.range(width), tf.stack([batch, width]))

    def forward(index: tf.Tensor, state: tf.Tensor, origins: tf.TensorArray) -> tuple:
        reached = state[:, :, tf.newaxis] + between
        inside = (index < lengths)[:, tf.newaxis]
        best = tf.argmax(reached, axis=1, output_type=tf.int32)
        following = tf.reduce_max(reached, axis=1) + steps[index]
        origins = origins.write(index, tf.where(inside, best, itself))
        return index + 1, tf.where(inside, following, state), origins

    def backward(index: tf.Tensor, tag: tf.Tensor, found: tf.TensorArray) -> tuple:
        found = found.write(index, tag)
        return index - 1, tf.gather(origins.read(index), tag, batch_dims=1), found

    # One element more than there are steps: sequences that are all empty have none.
    origins = tf.TensorArray(tf.int32, size=length + 1, element_shape=[None, None], clear_after_read=False)
    first = tf.concat([steps, tf.zeros(tf.stack([1, batch, width]))], axis=0)[0]
    start = (tf.constant(1), transitions[-1, :-1] + first, origins.write(0, itself))
    _, state, origins = tf.while_loop(lambda index, *_: index < length, forward, start)
    last = tf.argmax(state + end, axis=1, output_type=tf.int32)
    tags = tf.TensorArray(tf.int32, size=length + 1, element_shape=[None]).write(length, last)
    _, _, tags = tf.while_loop(lambda index, *_: index >= 0, backward, (length - 1, last, tags))
    found = tf.transpose(tags.stack()[:-1])
    return tf.where(tf.sequence_mask(lengths, length), found, 0)
