"""TensorFlow ops from text to normalized characters with byte offsets, and to BERT's words."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from ambert_tf.tokenization import flat
from ambert_tf.tokenization.characters import (
    CJK,
    EXPANDS,
    KIND_BITS,
    MARK,
    PUNCTUATION,
    WHITESPACE,
    character_table,
)

INT = tf.int32


class Characters(NamedTuple):
    """The normalized characters of a batch of texts, concatenated.

    Attributes:
      codes: int32 [characters], codepoints after normalization.
      kinds: int32 [characters]; see `characters.py`.
      starts, ends: int32 [characters], the character's byte range in the original text, including accents that were
        stripped directly after it. The character may be a control character, such as a zero-width joiner.
      splits: int32 [batch + 1], row splits of the texts.
    """

    codes: tf.Tensor
    kinds: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor
    splits: tf.Tensor


class Words(NamedTuple):
    """The words of a batch of texts, as BERT's BasicTokenizer defines them, concatenated.

    Attributes:
      codes, byte_starts, byte_ends: int32 [kept], the characters that are part of words.
      starts, lengths: int32 [words], ranges of kept characters.
      character: int32 [words], the index in `Characters` of the word's first character.
      splits: int32 [batch + 1], row splits of the texts.
    """

    codes: tf.Tensor
    byte_starts: tf.Tensor
    byte_ends: tf.Tensor
    starts: tf.Tensor
    lengths: tf.Tensor
    character: tf.Tensor
    splits: tf.Tensor


class Normalizer(tf.Module):
    """BERT's normalization with offsets.

    Args:
      do_lower_case, fold, strip_accents: see `character_table`.
    """

    def __init__(self, do_lower_case: bool, fold: bool, strip_accents: bool | None = None):
        super().__init__(name="normalizer")
        table = character_table(do_lower_case, fold, strip_accents)
        self._packed = tf.constant(table.packed)
        self._expansion_starts = tf.constant(table.expansion_starts)
        self._expansion_lengths = tf.constant(table.expansion_lengths)
        self._expansions = tf.constant(table.expansions)

    def __call__(self, texts: tf.Tensor) -> Characters:
        """Normalizes texts, string [batch]. Bytes that are not UTF-8 become control characters, outside words."""
        decoded, offsets = tf.strings.unicode_decode_with_offsets(texts, "UTF-8", errors="replace")
        splits = tf.cast(decoded.row_splits, INT)
        starts = tf.cast(offsets.flat_values, INT)
        packed = tf.gather(self._packed, decoded.flat_values)
        kinds = tf.bitwise.bitwise_and(packed, (1 << KIND_BITS) - 1)
        ends = _ends(starts, splits, tf.strings.length(texts), kinds)
        packed, kinds, starts, ends, splits = tf.cond(
            tf.reduce_any(kinds == EXPANDS),
            lambda: self._expand(packed, kinds, starts, ends, splits),
            lambda: (packed, kinds, starts, ends, splits),
        )
        return Characters(tf.bitwise.right_shift(packed, KIND_BITS), kinds, starts, ends, splits)

    def _expand(self, packed, kinds, starts, ends, splits):
        rows = tf.where(kinds == EXPANDS, tf.bitwise.right_shift(packed, KIND_BITS), 0)
        lengths = tf.where(kinds == EXPANDS, tf.gather(self._expansion_lengths, rows), 1)
        boundaries = tf.concat([[0], tf.cumsum(lengths)], 0)
        source = tf.repeat(tf.range(tf.size(lengths)), lengths)
        within = tf.range(tf.size(source)) - tf.gather(boundaries, source)
        expanded = tf.gather(kinds, source) == EXPANDS
        row = tf.gather(tf.gather(self._expansion_starts, rows), source) + within
        packed = tf.where(
            expanded,
            tf.gather(self._expansions, tf.where(expanded, row, 0)),
            tf.gather(packed, source),
        )
        kinds = tf.bitwise.bitwise_and(packed, (1 << KIND_BITS) - 1)
        return (
            packed,
            kinds,
            tf.gather(starts, source),
            tf.gather(ends, source),
            tf.gather(boundaries, splits),
        )


def _ends(starts: tf.Tensor, splits: tf.Tensor, text_lengths: tf.Tensor, kinds: tf.Tensor) -> tf.Tensor:
    """Returns the end of each character, in bytes, including the marks directly after it."""
    # A character ends where the next one starts. The last one ends at the end of the text.
    ends = tf.concat([starts[1:], [0]], 0)
    has_characters = splits[1:] > splits[:-1]
    last = tf.boolean_mask(splits[1:] - 1, has_characters)
    ends = tf.tensor_scatter_nd_update(ends, last[:, tf.newaxis], tf.boolean_mask(text_lengths, has_characters))

    def reach_over_marks():
        # A character followed by marks ends where the last mark ends.
        first_of_text = flat.marks(tf.boolean_mask(splits[:-1], has_characters), tf.size(kinds)) > 0
        run = tf.cumsum(tf.cast((kinds != MARK) | first_of_text, INT)) - 1
        return tf.gather(tf.math.segment_max(ends, run), run)

    return tf.cond(tf.reduce_any(kinds == MARK), reach_over_marks, lambda: ends)


def find_words(text: Characters) -> Words:
    """Splits normalized characters into words: at white space, and around each CJK and punctuation character."""
    size = tf.size(text.kinds)
    alone = (text.kinds == CJK) | (text.kinds == PUNCTUATION)
    boundary = tf.cast(alone | (text.kinds == WHITESPACE), INT)
    first_of_text = flat.marks(tf.boolean_mask(text.splits[:-1], text.splits[:-1] < size), size)
    # Two characters belong to the same word if no boundary lies between them, whatever was removed there.
    region = 1 + tf.cumsum(boundary + flat.previous(tf.cast(alone, INT)) + first_of_text)
    kept = flat.where(text.kinds <= CJK)
    kept_region = tf.gather(region, kept)
    starts = flat.where(kept_region != flat.previous(kept_region))
    character = tf.gather(kept, starts)
    return Words(
        tf.gather(text.codes, kept),
        tf.gather(text.starts, kept),
        tf.gather(text.ends, kept),
        starts,
        flat.ends_of(starts, tf.size(kept)) - starts,
        character,
        tf.searchsorted(character, text.splits),
    )


def are_apart(text: Characters, words: Words) -> tf.Tensor:
    """Returns whether white space separates each word from the previous one, bool [words]."""
    spaces = tf.gather(tf.cumsum(tf.cast(text.kinds == WHITESPACE, INT)), words.character)
    return spaces > flat.previous(spaces)


def normalize_phrases(phrases: Sequence[str], normalizer: Normalizer) -> list[str]:
    """Normalizes phrases. Words that white space separates in the phrase are separated by one space."""
    characters = normalizer(tf.constant(phrases, tf.string))
    words = find_words(characters)
    apart = are_apart(characters, words).numpy()
    codes, _, _, starts, lengths, _, splits = (values.numpy() for values in words)
    normalized = []
    for first, last in itertools.pairwise(splits):
        text = ""
        for word in range(first, last):
            text += " " if word > first and apart[word] else ""
            text += "".join(map(chr, codes[starts[word] : starts[word] + lengths[word]]))
        normalized.append(text)
    return normalized
