"""TensorFlow ops from logits to predictions. Evaluation and serving both call these functions."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from ambert_tf.models.classification_heads import MASKED_LOGIT
from ambert_tf.models.task_config import MULTIPLE_CHOICE, REGRESSION, TaskConfig

INVALID = -1e30  # Score of an invalid start or end. The sum of two is still a finite float32.


def sequence_predictions(task: TaskConfig, logits: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the predictions of a classification, regression or multiple-choice task.

    Args:
      task: the task.
      logits: float32 [batch, num_outputs]. For multiple choice, float32 [batch, choices], `MASKED_LOGIT` for an empty
        choice.

    Returns:
      For regression, `score`, float32 [batch]. For other tasks, `probabilities`, float32 in the shape of the logits,
      and `prediction`, int32 [batch], the index of the label or choice. An example without choices gets zeros and -1.
    """
    if task.form == REGRESSION:
        score = logits[:, 0]
        return {"score": score if task.score_range is None else tf.clip_by_value(score, *task.score_range)}
    probabilities = tf.nn.softmax(logits)
    if task.form != MULTIPLE_CHOICE:
        return {"probabilities": probabilities, "prediction": tf.argmax(logits, axis=-1, output_type=tf.int32)}
    there = tf.reduce_any(logits > MASKED_LOGIT, axis=1)
    # Add a column, because argmax does not accept empty rows.
    padded = tf.pad(logits, [[0, 0], [0, 1]], constant_values=2 * MASKED_LOGIT)
    prediction = tf.argmax(padded, axis=-1, output_type=tf.int32)
    return {
        "probabilities": tf.where(there[:, tf.newaxis], probabilities, 0.0),
        "prediction": tf.where(there, prediction, -1),
    }


class Candidates(NamedTuple):
    """Candidate answers in each window.

    Attributes:
      score: float32 [windows, candidates]. Start logit plus end logit, below `INVALID` if the candidate is invalid.
      start, end: int32 [windows, candidates]. Byte offsets into the context.
      null_score: float32 [windows]. Score of the question having no answer.
    """

    score: tf.Tensor
    start: tf.Tensor
    end: tf.Tensor
    null_score: tf.Tensor

    def best(self) -> "Candidates":
        """Returns the best candidate of each window."""
        index = tf.argmax(self.score, axis=1)[:, tf.newaxis]
        score, start, end = (tf.gather(values, index, batch_dims=1) for values in self[:3])
        return Candidates(score, start, end, self.null_score)


class Answers(NamedTuple):
    """Answers to each question, in descending order of score.

    Attributes:
      text: string [questions, (answers)]. Substrings of the context, without duplicates.
      score: float32 [questions, (answers)].
      start, end: int32 [questions, (answers)]. Byte offsets into the context.
      null_score: float32 [questions]. The minimum score of [CLS] over the windows, as in BERT.
    """

    text: tf.RaggedTensor
    score: tf.RaggedTensor
    start: tf.RaggedTensor
    end: tf.RaggedTensor
    null_score: tf.Tensor


def span_targets(windows: Mapping[str, Any], starts: tf.Tensor, ends: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the positions of the labelled answers in the windows, the targets of training.

    Args:
      windows: see `build_windows`.
      starts, ends: int32 [questions]. Byte offsets of the answer (the end is exclusive), or -1 for no answer.

    Returns:
      `start` and `end`, int32 [windows]: the fine positions of the answer's first and last token, or 0 if the window
      does not contain the whole answer.
    """
    token_starts, token_ends = windows["context_starts"], windows["context_ends"]
    start, end = (tf.gather(values, windows["window_example"])[:, tf.newaxis] for values in (starts, ends))
    inside = tf.cast((token_starts < end) & (token_ends > start), tf.int32)
    count = tf.reduce_sum(inside, axis=1)
    # The first window of a question starts at the start of the context, and the last one ends at its end, even if there
    # are characters without a token, such as control characters.
    other = windows["window_example"][1:] != windows["window_example"][:-1]
    first_window, last_window = tf.concat([[True], other], axis=0), tf.concat([other, [True]], axis=0)
    whole = first_window | (tf.reduce_min(token_starts, axis=1) <= start[:, 0])
    whole &= last_window | (end[:, 0] <= tf.reduce_max(token_ends, axis=1))
    found = whole & (start[:, 0] >= 0) & (count > 0)
    before = tf.reduce_sum(tf.cast(token_ends <= start, tf.int32), axis=1)
    first = windows["context_offset"] + before
    return {"start": tf.where(found, first, 0), "end": tf.where(found, first + count - 1, 0)}


def window_candidates(
    task: TaskConfig, logits: tf.Tensor, windows: Mapping[str, Any], whole_coarse: bool = False
) -> Candidates:
    """Pairs the best starts with the best ends in each window, as in BERT, with its max-context rule.

    Args:
      task: the task. `n_best_size` starts and ends are considered, and an answer has at most `max_answer_length` fine
        tokens.
      logits: float32 [windows, fine_length, 2], the start and end logits of each position.
      windows: see `build_windows`.
      whole_coarse: whether answers must start and end at the boundaries of coarse tokens. A head that reads only the
        coarse grain cannot distinguish the fine tokens inside a coarse token.
    """
    length = tf.shape(logits)[1]
    # From fine positions to indices of context tokens.
    token = tf.range(length) - windows["context_offset"][:, tf.newaxis]
    inside = (token >= 0) & (token < tf.cast(windows["context_starts"].row_lengths(), tf.int32)[:, tf.newaxis])
    token = tf.clip_by_value(token, 0, length - 1)

    def of_tokens(name: str) -> tf.Tensor:
        return tf.gather(windows[name].to_tensor(shape=tf.stack([-1, length])), token, batch_dims=1)

    may_start, may_end = inside & (of_tokens("max_context") > 0), inside
    if whole_coarse:
        coarse = windows["fine_to_coarse"].to_tensor(shape=tf.stack([-1, length]))
        may_start &= coarse != tf.pad(coarse[:, :-1], [[0, 0], [1, 0]], constant_values=-1)
        may_end &= coarse != tf.pad(coarse[:, 1:], [[0, 0], [0, 1]], constant_values=-1)
    count = tf.minimum(length, task.n_best_size)
    starting, first = tf.math.top_k(tf.where(may_start, logits[:, :, 0], INVALID), count)
    ending, last = tf.math.top_k(tf.where(may_end, logits[:, :, 1], INVALID), count)
    starting, first, starts = (
        tf.repeat(values, count, axis=1)
        for values in (starting, first, tf.gather(of_tokens("context_starts"), first, batch_dims=1))
    )
    ending, last, ends = (
        tf.tile(values, tf.stack([1, count]))
        for values in (ending, last, tf.gather(of_tokens("context_ends"), last, batch_dims=1))
    )
    allowed = (last >= first) & (last - first < task.max_answer_length) & (starting > INVALID) & (ending > INVALID)
    score = tf.where(allowed, starting + ending, 2 * INVALID)
    return Candidates(score, starts, ends, tf.reduce_sum(logits[:, 0], axis=1))


def best_answers(candidates: Candidates, window_example: tf.Tensor, contexts: tf.Tensor, count: int) -> Answers:
    """Merges the candidates of all windows of each question.

    Args:
      candidates: the candidates of the windows.
      window_example: int32 [windows], the index of each window's question.
      contexts: string [questions].
      count: the maximum number of answers per question. Only the best of several answers with the same text is kept.
    """
    questions = tf.size(contexts)
    valid = candidates.score > INVALID
    question = tf.gather(window_example, tf.cast(tf.where(valid)[:, 0], tf.int32))
    score, start, end = (tf.boolean_mask(values, valid) for values in candidates[:3])
    by_score = tf.argsort(score, direction="DESCENDING", stable=True)
    order = tf.gather(by_score, tf.argsort(tf.gather(question, by_score), stable=True))
    question, score, start, end = (tf.gather(values, order) for values in (question, score, start, end))
    text = tf.strings.substr(tf.gather(contexts, question), start, end - start)
    _, number = tf.unique(tf.strings.join([tf.strings.as_string(question), text], " "))
    index = tf.range(tf.size(number))
    is_first = index == tf.gather(tf.math.unsorted_segment_min(index, number, tf.size(number)), number)
    keep = is_first & (text != "")
    rows = tf.boolean_mask(question, keep)

    def ragged(values: tf.Tensor) -> tf.RaggedTensor:
        return tf.RaggedTensor.from_value_rowids(tf.boolean_mask(values, keep), rows, questions)[:, :count]

    return Answers(
        ragged(text),
        ragged(score),
        ragged(start),
        ragged(end),
        tf.math.unsorted_segment_min(candidates.null_score, window_example, questions),
    )


def final_answers(task: TaskConfig, answers: Answers) -> dict[str, tf.Tensor]:
    """Returns the predicted answer to each question.

    Returns:
      `answer`, string [questions], "" for no answer; `start` and `end`, int32 [questions], byte offsets into the
      context, 0 and 0 for no answer; and `score`, float32 [questions]. If questions may have no answer, also
      `null_odds`, float32 [questions], the null score minus the score of the best answer. No answer is predicted if it
      exceeds `null_score_diff_threshold`.
    """
    text, score, start, end = (
        values[:, :1].to_tensor("" if values.dtype == tf.string else 0, shape=[None, 1])[:, 0] for values in answers[:4]
    )
    none = answers.score.row_lengths() == 0
    null_odds = tf.where(none, 0.0, answers.null_score - score)
    if task.null_answers:
        none |= null_odds > task.null_score_diff_threshold
    outputs = {
        "answer": tf.where(none, "", text),
        "start": tf.where(none, 0, start),
        "end": tf.where(none, 0, end),
        "score": tf.where(none, answers.null_score, score),
    }
    return outputs | ({"null_odds": null_odds} if task.null_answers else {})
