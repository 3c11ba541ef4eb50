"""TensorFlow ops from texts to model inputs: [CLS] a [SEP] (b [SEP]), both grains truncated at the same point."""

from collections.abc import Sequence

import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.tokenization import flat
from ambert_tf.tokenization.token_ranges import TokenRanges
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
        fine_limits = _share(
            _lengths(first.fine_ids),
            _lengths(second.fine_ids),
            max_fine - 3 + saved,
        )
        coarse_limits = _share(
            _lengths(first.coarse_ids),
            _lengths(second.coarse_ids),
            max_coarse - 3 + saved,
        )
        kept = [
            truncate(tokens, fine_limit, coarse_limit)
            for tokens, fine_limit, coarse_limit in zip((first, second), fine_limits, coarse_limits, strict=True)
        ]
    inputs = frame(kept, tokenizer.cls_id, tokenizer.sep_id)
    if texts_b is not None and empty_is_single:
        inputs = {name: _first(values, _lengths(values) - saved) for name, values in inputs.items()}
    return inputs


def truncate(tokens: Tokens, max_fine: tf.Tensor | int, max_coarse: tf.Tensor | int) -> Tokens:
    """Truncates each text at the end of the last coarse token that fits both limits.

    Args:
      tokens: the tokens of a batch of texts.
      max_fine, max_coarse: int32 [batch] or scalar, the maximum numbers of tokens.
    """
    ranges = TokenRanges(tokens)
    rows = tf.range(tf.size(ranges.fine_lengths))
    # The first coarse token to drop contains the first fine token that does not fit.
    kept = tf.minimum(ranges.coarse_at(rows, tf.minimum(ranges.fine_lengths, max_fine)), max_coarse)
    return ranges.take(rows, tf.zeros_like(kept), kept)


def frame(parts: list[Tokens], cls_id: int, sep_id: int) -> dict[str, tf.RaggedTensor]:
    """Adds [CLS] and [SEP] to a text or a pair of texts. Returns the outputs of `build_model_inputs`."""
    fine, coarse = (_Frame([getattr(part, f"{grain}_ids") for part in parts]) for grain in GRAINS)
    inputs: dict[str, tf.RaggedTensor] = {}
    for grain, layout in zip(GRAINS, (fine, coarse), strict=True):
        inputs[f"{grain}_input_ids"] = layout.fill(cls_id, [(getattr(part, f"{grain}_ids"), sep_id) for part in parts])
        inputs[f"{grain}_segment_ids"] = layout.fill(0, [(index, index) for index in range(len(parts))])
    alignment = []
    for part, begin, end, row in zip(parts, coarse.begins, coarse.ends, fine.rows, strict=True):
        own = part.fine_to_coarse
        alignment.append((own.with_flat_values(own.flat_values + tf.gather(begin, row)), end))
    inputs["fine_to_coarse"] = fine.fill(0, alignment)
    return inputs


class _Frame:
    """Positions of the tokens of one grain in `[CLS] a [SEP] (b [SEP])`.

    Args:
      parts: the token ids of each part, int32 [batch, (tokens)].

    Attributes:
      begins, ends: for each part, int32 [batch], the positions of its first token and of its [SEP].
      rows: for each part, int32 [tokens], the row of each token.
    """

    def __init__(self, parts: list[tf.RaggedTensor]) -> None:
        self._splits = tf.add_n([part.row_splits for part in parts])
        batch = tf.range(tf.size(self._splits))
        self._splits += batch * (1 + len(parts))
        starts = self._splits[:-1]
        self.begins, self.ends, self.rows = [], [], []
        positions, begin = [starts], tf.ones_like(starts)
        for part in parts:
            splits, size = part.row_splits, tf.size(part.flat_values)
            row = flat.row_of(splits, size)
            end = begin + flat.row_lengths(splits)
            positions += [tf.range(size) + tf.gather(starts + begin - splits[:-1], row), starts + end]
            self.begins.append(begin)
            self.ends.append(end)
            self.rows.append(row)
            begin = end + 1
        self._positions = tf.concat(positions, 0)

    def fill(self, cls: int, parts: Sequence[tuple[tf.RaggedTensor | int, tf.Tensor | int]]) -> tf.RaggedTensor:
        """Returns int32 [batch, (length)] from the value at [CLS], and each part's values at its tokens and [SEP]."""
        values = [tf.fill(tf.shape(self.ends[0]), cls)]
        for (tokens, sep), row, end in zip(parts, self.rows, self.ends, strict=True):
            values += [
                tokens.flat_values if isinstance(tokens, tf.RaggedTensor) else tf.fill(tf.shape(row), tokens),
                sep if isinstance(sep, tf.Tensor) else tf.fill(tf.shape(end), sep),
            ]
        placed = flat.put(self._positions, tf.concat(values, 0), self._splits[-1], 0)
        return tf.RaggedTensor.from_row_splits(placed, self._splits, validate=False)


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
    return flat.row_lengths(ragged.row_splits)


def _first(ragged: tf.RaggedTensor, counts: tf.Tensor) -> tf.RaggedTensor:
    """Keeps the first `counts`, int32 [batch], of each row."""
    starts = ragged.row_splits[:-1]
    splits, index = flat.ranges(starts, starts + counts)
    return tf.RaggedTensor.from_row_splits(tf.gather(ragged.flat_values, index), splits, validate=False)


def _share(first: tf.Tensor, second: tf.Tensor, limit: tf.Tensor | int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the lengths, int32 [batch], of two texts after truncating the longer one token by token.

    Like BERT's `_truncate_seq_pair`, this shortens the second text if both are equally long.
    """
    half = (limit + 1) // 2
    first_kept = tf.minimum(first, tf.maximum(half, limit - second))
    return first_kept, tf.minimum(second, limit - first_kept)
