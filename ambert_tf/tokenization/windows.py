"""Splits long texts into overlapping windows, `[CLS] question [SEP] part of the context [SEP]`, or without question."""

import tensorflow as tf

from ambert_tf.tokenization import flat
from ambert_tf.tokenization.model_inputs import check_seq_lengths, frame, truncate
from ambert_tf.tokenization.token_ranges import TokenRanges
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer, Tokens

FRAMING = 3  # [CLS] and two [SEP]; one [SEP] without a question


def build_windows(
    tokenizer: MultiGrainedTokenizer,
    questions: tf.Tensor | None,
    contexts: tf.Tensor,
    *,
    max_seq_length: int,
    max_coarse_seq_length: int | None = None,
    doc_stride: int = 128,
    max_query_length: int = 64,
) -> dict[str, tf.RaggedTensor | tf.Tensor]:
    """Tokenizes questions and contexts, and builds a sequence from each window of a context and its question.

    The starts of windows are `doc_stride` fine tokens apart, or less if there would be a gap otherwise. A window starts
    at the coarse token that contains that fine token, and ends before the coarse token that no longer fits, so both
    grains cover the same text. As in BERT, `max_context` marks the window in which the smaller of a token's left and
    right contexts is largest.

    Args:
      tokenizer: the model's tokenizer.
      questions: string [batch], truncated to `max_query_length`. None for windows of the contexts alone.
      contexts: string [batch], of any length.
      max_seq_length: maximum number of fine tokens, including [CLS] and [SEP].
      max_coarse_seq_length: maximum number of coarse tokens. Defaults to `max_seq_length`.
      doc_stride: number of fine tokens between the starts of consecutive windows.
      max_query_length: maximum number of fine tokens in a question.

    Returns:
      The outputs of `build_model_inputs`, one row per window, and:
        window_example: int32 [windows], the row of `contexts` that the window belongs to.
        context_offset: int32 [windows], the fine position of the window's first context token.
        first_token: int32 [windows], the index of that token in the context.
        context_starts, context_ends: int32 [windows, (tokens)], the byte range of each fine token in the context.
        max_context: int32 [windows, (tokens)], 1 if the token has the most context in this window.

    Raises:
      InputError: a limit is too small.
    """
    max_fine, max_coarse = check_seq_lengths(max_seq_length, max_coarse_seq_length)
    context = TokenRanges(tokenizer(contexts))
    asked: Tokens | None = None
    taken_fine = taken_coarse = tf.ones_like(context.fine_lengths) * (FRAMING - 1)
    if questions is not None:
        asked = truncate(
            tokenizer(questions),
            min(max_query_length, (max_fine - FRAMING) // 2),
            min(max_query_length, (max_coarse - FRAMING) // 2),
        )
        taken_fine = flat.row_lengths(asked.fine_ids.row_splits) + FRAMING
        taken_coarse = flat.row_lengths(asked.coarse_ids.row_splits) + FRAMING
    room_fine, room_coarse = max_fine - taken_fine, max_coarse - taken_coarse
    # At most half of the available length, so that there is no gap between windows, wherever coarse tokens end.
    stride = tf.minimum(doc_stride, tf.maximum(tf.minimum(room_fine, room_coarse) // 2, 1))
    example, begins, ends = _bounds(context, room_fine, room_coarse, stride)
    part = context.take(example, begins, ends)
    parts = [part]
    if asked is not None:
        ranges = TokenRanges(asked)
        parts.insert(0, ranges.take(example, tf.zeros_like(example), tf.gather(ranges.coarse_lengths, example)))
    inputs: dict[str, tf.RaggedTensor | tf.Tensor] = dict(frame(parts, tokenizer.cls_id, tokenizer.sep_id))
    first_token = context.fine_at(example, begins)
    inputs["window_example"] = example
    inputs["context_offset"] = tf.gather(taken_fine, example) - 1
    inputs["first_token"] = first_token
    inputs["context_starts"] = part.fine_starts
    inputs["context_ends"] = part.fine_ends
    inputs["max_context"] = _max_context(example, first_token, part.fine_ids.row_splits)
    return inputs


def inner_positions(tokens: tf.RaggedTensor) -> tf.Tensor:
    """Returns where the tokens of windows without a question are among all of the windows, int32 [tokens].

    Args:
      tokens: [windows, (tokens)], without [CLS] and [SEP].
    """
    row = tf.cast(tokens.value_rowids(), tf.int32)
    return tf.range(tf.size(row)) + 2 * row + 1


def _bounds(
    context: TokenRanges, room_fine: tf.Tensor, room_coarse: tf.Tensor, stride: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns each window's example, its first coarse token, and the coarse token after its last."""
    counts = tf.maximum((context.fine_lengths + stride - 1) // stride, 1)  # surplus windows are removed below
    splits, number = flat.ranges(tf.zeros_like(counts), counts)
    example = flat.row_of(splits, tf.size(number))
    begins = context.coarse_at(example, number * tf.gather(stride, example))
    first_fine = context.fine_at(example, begins)
    last_fine = tf.minimum(first_fine + tf.gather(room_fine, example), tf.gather(context.fine_lengths, example))
    ends = tf.minimum(context.coarse_at(example, last_fine), begins + tf.gather(room_coarse, example))
    # The next window skips a coarse token that is longer than a window.
    reached = ends >= tf.gather(context.coarse_lengths, example)
    before = tf.concat([[False], reached[:-1]], 0)
    needed = (number == 0) | ~before
    return tuple(tf.boolean_mask(values, needed) for values in (example, begins, ends))


def _max_context(example: tf.Tensor, first_token: tf.Tensor, splits: tf.Tensor) -> tf.RaggedTensor:
    """Returns int32 [windows, (tokens)], 1 where a token has the most context. In a tie, the first window wins."""
    window = flat.row_of(splits, splits[-1])
    left = tf.range(splits[-1]) - tf.gather(splits, window)
    length = tf.gather(flat.row_lengths(splits), window)
    # BERT's score is the length of the shorter side plus a hundredth of the window's length.
    score = 100 * tf.minimum(left, length - 1 - left) + length
    index = tf.gather(first_token, window) + left
    width = tf.reduce_max(index, axis=0) + 1 if index.shape.rank else 1
    key = tf.cast(tf.gather(example, window), tf.int64) * tf.cast(tf.maximum(width, 1), tf.int64) + tf.cast(
        index, tf.int64
    )
    _, segment = tf.unique(key, out_idx=tf.int32)
    segments = tf.reduce_max(tf.concat([segment, [-1]], 0)) + 1
    best = tf.math.unsorted_segment_max(score, segment, segments)
    is_best = score == tf.gather(best, segment)
    candidates = tf.where(is_best, window, tf.int32.max)
    first = tf.math.unsorted_segment_min(candidates, segment, segments)
    chosen = tf.cast(is_best & (window == tf.gather(first, segment)), tf.int32)
    return tf.RaggedTensor.from_row_splits(chosen, splits, validate=False)
