"""Overlapping windows of questions and long contexts, in graph: `[CLS] question [SEP] part of the context [SEP]`."""

import tensorflow as tf

from ambert_tf.tokenization.model_inputs import check_seq_lengths, frame, truncate
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer, Tokens

FRAMING = 3  # [CLS] and two [SEP]


def build_windows(
    tokenizer: MultiGrainedTokenizer,
    questions: tf.Tensor,
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
      questions: string [batch], truncated to `max_query_length`.
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
    asked = truncate(
        tokenizer(questions),
        min(max_query_length, (max_fine - FRAMING) // 2),
        min(max_query_length, (max_coarse - FRAMING) // 2),
    )
    context = tokenizer(contexts)
    room_fine = max_fine - FRAMING - _lengths(asked.fine_ids)
    room_coarse = max_coarse - FRAMING - _lengths(asked.coarse_ids)
    # At most half of the available length, so that consecutive windows overlap wherever coarse tokens end.
    stride = tf.minimum(doc_stride, tf.maximum(tf.minimum(room_fine, room_coarse) // 2, 1))
    example, begins, ends = _bounds(context, room_fine, room_coarse, stride)
    part = _slice(context, example, begins, ends)
    question = Tokens(*(tf.gather(values, example) for values in asked))
    inputs: dict[str, tf.RaggedTensor | tf.Tensor] = dict(frame([question, part], tokenizer.cls_id, tokenizer.sep_id))
    first_token = _fine_index(context, example, begins)
    inputs["window_example"] = example
    inputs["context_offset"] = _lengths(question.fine_ids) + 2
    inputs["first_token"] = first_token
    inputs["context_starts"] = part.fine_starts
    inputs["context_ends"] = part.fine_ends
    inputs["max_context"] = _max_context(example, first_token, _lengths(part.fine_ids))
    return inputs


def _bounds(
    context: Tokens, room_fine: tf.Tensor, room_coarse: tf.Tensor, stride: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns each window's example, its first coarse token, and the coarse token after its last."""
    fine_lengths, coarse_lengths = _lengths(context.fine_ids), _lengths(context.coarse_ids)
    counts = tf.maximum((fine_lengths + stride - 1) // stride, 1)  # unnecessary windows are removed below
    example = tf.repeat(tf.range(tf.size(counts)), counts)
    number = tf.ragged.range(counts, row_splits_dtype=tf.int32).flat_values
    nominal = number * tf.gather(stride, example)
    # The coarse token of each fine token, followed by the number of coarse tokens.
    padded = tf.concat([context.fine_to_coarse, coarse_lengths[:, tf.newaxis]], 1)
    row_starts = tf.cast(tf.gather(padded.row_starts(), example), tf.int32)
    begins = tf.gather(padded.flat_values, row_starts + nominal)
    first_fine = _fine_index(context, example, begins)
    last_fine = tf.minimum(first_fine + tf.gather(room_fine, example), tf.gather(fine_lengths, example))
    ends = tf.gather(padded.flat_values, row_starts + last_fine)
    ends = tf.minimum(ends, begins + tf.gather(room_coarse, example))
    # The next window skips a coarse token that is longer than a window.
    reached = ends >= tf.gather(coarse_lengths, example)
    before = tf.concat([[False], reached[:-1]], 0)
    needed = (number == 0) | ~before
    return tuple(tf.boolean_mask(values, needed) for values in (example, begins, ends))


def _slice(tokens: Tokens, example: tf.Tensor, begins: tf.Tensor, ends: tf.Tensor) -> Tokens:
    """Returns the coarse tokens from `begins` to `ends` (exclusive) of the examples, and their fine tokens."""
    fine_begins, fine_ends = (_fine_index(tokens, example, at) for at in (begins, ends))

    def part(values: tf.RaggedTensor, first: tf.Tensor, last: tf.Tensor) -> tf.RaggedTensor:
        row = tf.cast(tf.gather(values.row_starts(), example), tf.int32)
        return tf.gather(values.flat_values, tf.ragged.range(row + first, row + last, row_splits_dtype=tf.int32))

    sliced = {
        name: part(getattr(tokens, name), begins, ends)
        if name.startswith("coarse")
        else part(getattr(tokens, name), fine_begins, fine_ends)
        for name in Tokens._fields
    }
    sliced["fine_to_coarse"] -= begins[:, tf.newaxis]
    return Tokens(**sliced)


def _fine_index(tokens: Tokens, example: tf.Tensor, coarse: tf.Tensor) -> tf.Tensor:
    """Returns the index of the first fine token of coarse tokens, int32 [windows], or the length after the last one."""
    lengths = _lengths(tokens.coarse_ids)
    # The number of fine tokens before each coarse token, over the whole batch.
    rows = tf.cast(tokens.coarse_ids.row_starts(), tf.int32)
    row_of_fine = tf.cast(tokens.fine_to_coarse.value_rowids(), tf.int32)
    holder = tf.gather(rows, row_of_fine) + tokens.fine_to_coarse.flat_values
    total = tf.reduce_sum(lengths)
    before = tf.math.cumsum(tf.math.bincount(holder, minlength=total, maxlength=total), exclusive=True)
    before = tf.concat([tf.cast(before, tf.int32), [tf.size(holder)]], 0)
    through_batch = tf.gather(before, tf.gather(rows, example) + coarse)
    return through_batch - tf.gather(tf.cast(tokens.fine_ids.row_starts(), tf.int32), example)


def _max_context(example: tf.Tensor, first_token: tf.Tensor, lengths: tf.Tensor) -> tf.RaggedTensor:
    """Returns int32 [windows, (tokens)], 1 in the (first) window where a token has the most context."""
    position = tf.ragged.range(lengths, row_splits_dtype=tf.int32)
    window = tf.repeat(tf.range(tf.size(lengths)), lengths)
    length = tf.gather(lengths, window)
    left = position.flat_values
    # BERT's score is the length of the shorter side plus a hundredth of the window's length. The first maximum wins.
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
    return position.with_flat_values(chosen)


def _lengths(ragged: tf.RaggedTensor) -> tf.Tensor:
    return tf.cast(ragged.row_lengths(), tf.int32)
