"""Text to normalised characters that remember their bytes, and to BERT's words, in graph."""

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
    """The normalised characters of a batch of texts, one after the other.

    Attributes:
      codes: int32 [characters]; codepoints after normalisation.
      kinds: int32 [characters]; of `characters.py`.
      starts, ends: int32 [characters]; bytes of the text that the character comes from. The end includes
        accents that follow and were taken off.
      splits: int32 [batch + 1]; the texts are the ranges between them.
    """

    codes: tf.Tensor
    kinds: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor
    splits: tf.Tensor


class Words(NamedTuple):
    """The words of a batch of texts as BERT's BasicTokenizer has them, one after the other.

    Attributes:
      codes, byte_starts, byte_ends: int32 [kept]; the characters that are part of words.
      starts, lengths: int32 [words]; ranges of kept characters.
      character: int32 [words]; the index in `Characters` of the word's first character.
      splits: int32 [batch + 1]; the words of each text.
    """

    codes: tf.Tensor
    byte_starts: tf.Tensor
    byte_ends: tf.Tensor
    starts: tf.Tensor
    lengths: tf.Tensor
    character: tf.Tensor
    splits: tf.Tensor


class Normalizer(tf.Module):
    """BERT's normalisation with offsets.

    Args:
      do_lower_case: lower case, without accents.
      fold: NFKC first.
    """

    def __init__(self, do_lower_case: bool, fold: bool):
        super().__init__(name="normalizer")
        table = character_table(do_lower_case, fold)
        self._packed = tf.constant(table.packed)
        self._expansion_starts = tf.constant(table.expansion_starts)
        self._expansion_lengths = tf.constant(table.expansion_lengths)
        self._expansions = tf.constant(table.expansions)

    def __call__(self, texts: tf.Tensor) -> Characters:
        """Normalises texts, string [batch]. Bytes that are no UTF-8 become control characters, which no word holds."""
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
    """The byte after each character, marks that follow it included."""
    # The next character's start; in the last character of a text, the text's length.
    ends = tf.concat([starts[1:], [0]], 0)
    has_characters = splits[1:] > splits[:-1]
    last = tf.boolean_mask(splits[1:] - 1, has_characters)
    ends = tf.tensor_scatter_nd_update(ends, last[:, tf.newaxis], tf.boolean_mask(text_lengths, has_characters))

    def reach_over_marks():
        # Runs of one character and the marks behind it end where the last of them ends.
        first_of_text = flat.marks(tf.boolean_mask(splits[:-1], has_characters), tf.size(kinds)) > 0
        run = tf.cumsum(tf.cast((kinds != MARK) | first_of_text, INT)) - 1
        return tf.gather(tf.math.segment_max(ends, run), run)

    return tf.cond(tf.reduce_any(kinds == MARK), reach_over_marks, lambda: ends)


def find_words(text: Characters) -> Words:
    """Splits normalised characters into words: at white space, and around every CJK and punctuation character."""
    size = tf.size(text.kinds)
    alone = (text.kinds == CJK) | (text.kinds == PUNCTUATION)
    boundary = tf.cast(alone | (text.kinds == WHITESPACE), INT)
    first_of_text = flat.marks(tf.boolean_mask(text.splits[:-1], text.splits[:-1] < size), size)
    # Two characters belong to one word if no boundary lies between them, whatever was dropped there.
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
