"""The best answer to each question, in graph: BERT's search with max-context scoring, as evaluation does it."""

from typing import NamedTuple

import tensorflow as tf

POSITIONS = 20  # positions to start from in a window, run_squad.py's --n_best_size
NONE = -1e30  # score of what is no answer; the sum of two is a float32 too


class Best(NamedTuple):
    """The best answer in each window or to each question; [windows] or [questions].

    Attributes:
      score: float32, logit of the start plus logit of the end; see `has_answer`.
      start, end: int32, bytes of the context.
      null_score: float32, of no answer.
    """

    score: tf.Tensor
    start: tf.Tensor
    end: tf.Tensor
    null_score: tf.Tensor

    @property
    def has_answer(self) -> tf.Tensor:
        """Bool; whether there is any answer."""
        return self.score > NONE / 10


def best_in_windows(
    logits: tf.Tensor,
    may_start: tf.Tensor,
    may_end: tf.Tensor,
    starts: tf.Tensor,
    ends: tf.Tensor,
    max_answer_length: int,
) -> Best:
    """Returns the best answer in each window.

    Args:
      logits: float32 [windows, fine_length, 2].
      may_start, may_end: bool [windows, fine_length]; where an answer may begin and end.
      starts, ends: int32 [windows, fine_length]; bytes of the context.
      max_answer_length: fine tokens of an answer at most.
    """
    length = tf.shape(logits)[1]
    count = tf.minimum(length, POSITIONS)
    starting, first = tf.math.top_k(tf.where(may_start, logits[:, :, 0], NONE), count)
    ending, last = tf.math.top_k(tf.where(may_end, logits[:, :, 1], NONE), count)
    size = last[:, tf.newaxis, :] - first[:, :, tf.newaxis] + 1  # [windows, count, count]
    total = starting[:, :, tf.newaxis] + ending[:, tf.newaxis, :]
    allowed = (size >= 1) & (size <= max_answer_length)
    total = tf.reshape(tf.where(allowed, total, 2 * NONE), [-1, count * count])
    chosen = tf.argmax(total, axis=1, output_type=tf.int32)
    return Best(
        tf.gather(total, chosen, batch_dims=1),
        tf.gather(starts, tf.gather(first, chosen // count, batch_dims=1), batch_dims=1),
        tf.gather(ends, tf.gather(last, chosen % count, batch_dims=1), batch_dims=1),
        tf.reduce_sum(logits[:, 0], axis=1),
    )


def best_of_questions(windows: Best, question: tf.Tensor, questions: tf.Tensor) -> Best:
    """Returns the best answer to each question, of its windows; of equal ones the first.

    Args:
      windows: the best in each.
      question: int32 [windows], ascending.
      questions: how many there are.
    """
    score = tf.math.unsorted_segment_max(windows.score, question, questions)
    number = tf.range(tf.size(question))
    is_best = windows.score == tf.gather(score, question)
    first = tf.math.unsorted_segment_min(tf.where(is_best, number, tf.int32.max), question, questions)
    null_score = tf.math.unsorted_segment_min(windows.null_score, question, questions)
    return Best(score, tf.gather(windows.start, first), tf.gather(windows.end, first), null_score)
