"""From texts to model inputs, in graph: [CLS] a [SEP] (b [SEP]) at both grains, truncated at the same point."""

import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer, Tokens

GRAINS = ("fine", "coarse")
MIN_SEQ_LENGTH = 8


def check_seq_lengths(max_seq_length: int, max_coarse_seq_length: int | None) -> tuple[int, int]:
    """Returns both length limits. The coarse limit defaults to the fine one.

    Raises:
      InputError: a limit is below 8, or the coarse one exceeds the fine one.
    """
    coarse = max_seq_length if max_coarse_seq_length is None else max_coarse_seq_length
    for flag, value in (("max_seq_length", max_seq_length), ("max_coarse_seq_length", coarse)):
        if value < MIN_SEQ_LENGTH:
            raise InputError(f"--{flag}={value}: is too short; it must be at least {MIN_SEQ_LENGTH}")
    if coarse > max_seq_length:
        raise InputError(
            f"--max_coarse_seq_length={coarse}: must not exceed --max_seq_length={max_seq_length}; "
            "a text has at most as many coarse tokens as fine tokens"
        )
    return max_seq_length, coarse


def build_model_inputs(
    tokenizer: MultiGrainedTokenizer,
    texts_a: tf.Tensor,
    texts_b: tf.Tensor | None = None,
    *,
    max_seq_length: int,
    max_coarse_seq_length: int | None = None,
    empty_is_single: bool = False,
) -> dict[str, tf.RaggedTensor]:
    """Tokenizes texts or pairs of texts, and adds [CLS] and [SEP] as in BERT.

    Both grains are truncated at the same coarse token, so they cover the same text. In a pair, the longer text is
    truncated first.

    Args:
      tokenizer: the model's tokenizer.
      texts_a: string [batch].
      texts_b: string [batch], for pairs.
      max_seq_length: maximum number of fine tokens, including [CLS] and [SEP].
      max_coarse_seq_length: maximum number of coarse tokens. Defaults to `max_seq_length`.
      empty_is_single: whether to build a single-text sequence if the second text has no tokens.

    Returns:
      Ragged int32 [batch, (length)]: `fine_input_ids`, `fine_segment_ids`, `coarse_input_ids`,
      `coarse_segment_ids`, and `fine_to_coarse` (for each fine position, the position of its coarse token).

    Raises:
      InputError: a limit is too small.
    """
    max_fine, max_coarse = check_seq_lengths(max_seq_length, max_coarse_seq_length)
    if texts_b is None:
        kept = [truncate(tokenizer(texts_a), max_fine - 2, max_coarse - 2)]
    else:
        first, second = tokenizer(texts_a), tokenizer(texts_b)
        saved = tf.cast(_lengths(second.fine_ids) == 0, tf.int32) if empty_is_single else 0
        fine_limits = _share(_lengths(first.fine_ids), _lengths(second.fine_ids), max_fine - 3 + saved)
        coarse_limits = _share(_lengths(first.coarse_ids), _lengths(second.coarse_ids), max_coarse - 3 + saved)
        kept = [
            truncate(tokens, fine_limit, coarse_limit)
            for tokens, fine_limit, coarse_limit in zip((first, second), fine_limits, coarse_limits, strict=True)
        ]
    inputs = frame(kept, tokenizer.cls_id, tokenizer.sep_id)
    if texts_b is not None and empty_is_single:
        inputs = {name: _first(values, _lengths(values) - saved) for name, values in inputs.items()}
    return inputs


def truncate(tokens: Tokens, max_fine: tf.Tensor | int, max_coarse: tf.Tensor | int) -> Tokens:
    """Truncates each text to the longest prefix of whole coarse tokens that satisfies both limits.

    Args:
      tokens: the tokens of a batch of texts.
      max_fine, max_coarse: maximum numbers of tokens, int32 [batch] or scalar.
    """
    fine_counts = _lengths(tokens.fine_ids)
    fits = tf.minimum(fine_counts, max_fine)
    # The first coarse token to drop is the one that contains the first fine token beyond the limit.
    padded = tf.concat([tokens.fine_to_coarse, tf.cast(tokens.coarse_ids.row_lengths(), tf.int32)[:, tf.newaxis]], 1)
    coarse_kept = tf.gather(padded.flat_values, tf.cast(padded.row_starts(), tf.int32) + fits)
    coarse_kept = tf.minimum(coarse_kept, max_coarse)
    inside = tf.cast(tokens.fine_to_coarse < coarse_kept[:, tf.newaxis], tf.int32)
    fine_kept = tf.reduce_sum(inside, axis=1)
    return Tokens(
        *(
            _first(getattr(tokens, name), coarse_kept if name.startswith("coarse") else fine_kept)
            for name in Tokens._fields
        )
    )


def frame(parts: list[Tokens], cls_id: int, sep_id: int) -> dict[str, tf.RaggedTensor]:
    """Adds [CLS] and [SEP] to one text or two. The output is that of `build_model_inputs`."""
    batch = parts[0].fine_ids.nrows(out_type=tf.int32)
    one = tf.ones([batch, 1], tf.int32)
    inputs: dict[str, tf.RaggedTensor] = {}
    for grain in GRAINS:
        ids: list = [one * cls_id]
        segments: list = [one * 0]
        for index, part in enumerate(parts):
            part_ids = getattr(part, f"{grain}_ids")
            ids += [part_ids, one * sep_id]
            segments += [tf.zeros_like(part_ids) + index, one * index]
        inputs[f"{grain}_input_ids"] = tf.concat(ids, 1)
        inputs[f"{grain}_segment_ids"] = tf.concat(segments, 1)
    alignment: list = [one * 0]
    position = tf.ones([batch], tf.int32)
    for part in parts:
        end = position + _lengths(part.coarse_ids)
        alignment += [part.fine_to_coarse + position[:, tf.newaxis], end[:, tf.newaxis]]
        position = end + 1
    inputs["fine_to_coarse"] = tf.concat(alignment, 1)
    return inputs


def pad_model_inputs(
    inputs: dict[str, tf.RaggedTensor], fine_length: int | None = None, coarse_length: int | None = None
) -> dict[str, tf.Tensor]:
    """Pads model inputs with zeros, to the longest sequence in the batch or to fixed lengths.

    Returns:
      int32 [batch, length] under the same names. Dense tensors are returned unchanged.
    """
    lengths = {"fine": fine_length, "coarse": coarse_length}
    return {
        name: value.to_tensor(shape=[None, lengths[name.split("_")[0]]])
        if isinstance(value, tf.RaggedTensor)
        else value
        for name, value in inputs.items()
    }


def _lengths(ragged: tf.RaggedTensor) -> tf.Tensor:
    return tf.cast(ragged.row_lengths(), tf.int32)


def _first(ragged: tf.RaggedTensor, counts: tf.Tensor) -> tf.RaggedTensor:
    """Keeps the first `counts`, int32 [batch], values of each row."""
    starts = tf.cast(ragged.row_starts(), tf.int32)
    return tf.gather(ragged.flat_values, tf.ragged.range(starts, starts + counts, row_splits_dtype=tf.int32))


def _share(first: tf.Tensor, second: tf.Tensor, limit: tf.Tensor | int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the lengths, int32 [batch], of two texts after truncating the longer one token by token.

    Like BERT's `_truncate_seq_pair`, this shortens the second text if both are equally long.
    """
    half = (limit + 1) // 2
    first_kept = tf.minimum(first, tf.maximum(half, limit - second))
    return first_kept, tf.minimum(second, limit - first_kept)
