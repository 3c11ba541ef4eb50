"""TensorFlow ops from words to fine tokens."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from ambert_tf.tokenization import flat
from ambert_tf.tokenization.normalizer import INT, Words
from ambert_tf.tokenization.vocab_file import UNK, WORDPIECE_PREFIX, distinct, token_ids

# Google's WordpieceTokenizer treats longer words as unknown.
MAX_CHARACTERS_PER_WORD = 200
_IN_NO_VOCABULARY = "\uffff"


class Pieces(NamedTuple):
    """The fine tokens of a batch of texts, concatenated.

    Attributes:
      ids: int32 [pieces].
      word: int32 [pieces], the word that contains the piece.
      begins_word: bool [pieces], whether the piece is the first of its word.
      starts, lengths: int32 [pieces], ranges of kept characters (see `Words`).
      boundaries: int32 [words + 1], row splits of the words.
      long_words: int32 [long], indices of the words with more than one character.
      long_strings: string [long], these words.
    """

    ids: tf.Tensor
    word: tf.Tensor
    begins_word: tf.Tensor
    starts: tf.Tensor
    lengths: tf.Tensor
    boundaries: tf.Tensor
    long_words: tf.Tensor
    long_strings: tf.Tensor


class WordPiece(tf.Module):
    """BERT's WordPiece. Single-character words, such as all Chinese words, are looked up in a table of characters.

    Args:
      vocabulary: the fine vocabulary.
    """

    def __init__(self, vocabulary: list[str]):
        super().__init__(name="wordpiece")
        self._unknown = token_ids(vocabulary)[UNK]
        single = {ord(token): index for index, token in enumerate(vocabulary) if len(token) == 1}
        ids = np.full(max(single, default=0) + 2, self._unknown, np.int32)
        ids[list(single)] = list(single.values())
        self._character_ids = tf.constant(ids)
        self._lengths = tf.constant(
            [0 if token == UNK else len(token.removeprefix(WORDPIECE_PREFIX)) for token in vocabulary], INT
        )
        self._wordpiece = tf_text.FastWordpieceTokenizer(
            # The library rejects duplicates.
            vocab=distinct(vocabulary),
            suffix_indicator=WORDPIECE_PREFIX,
            # The library counts bytes, but Google counts characters. Words that are too long are replaced beforehand.
            max_bytes_per_word=4 * MAX_CHARACTERS_PER_WORD,
            token_out_type=INT,
            unknown_token=UNK,
            no_pretokenization=True,
        )

    def __call__(self, words: Words) -> Pieces:
        """Splits words into pieces. A word that cannot be split is one [UNK]."""
        num_words = tf.size(words.lengths)
        is_long = words.lengths > 1
        long_words = flat.where(is_long)
        long_lengths = tf.gather(words.lengths, long_words)
        long_starts = tf.gather(words.starts, long_words)
        characters = tf.ragged.range(long_starts, long_starts + long_lengths, row_splits_dtype=tf.int64)
        strings = tf.strings.unicode_encode(
            characters.with_flat_values(tf.gather(words.codes, characters.flat_values)), "UTF-8"
        )
        pieces = self._wordpiece.tokenize(tf.where(long_lengths > MAX_CHARACTERS_PER_WORD, _IN_NO_VOCABULARY, strings))
        per_word = flat.put(long_words, tf.cast(pieces.row_lengths(), INT), num_words, 1)
        boundaries = tf.concat([[0], tf.cumsum(per_word)], 0)
        num_pieces = boundaries[-1]
        begins_word = flat.marks(boundaries[:-1], num_pieces)
        word = tf.cumsum(begins_word) - 1
        codes = tf.gather(words.codes, words.starts)
        word_ids = tf.gather(self._character_ids, tf.minimum(codes, tf.size(self._character_ids) - 1))
        ids = tf.gather(tf.where(is_long, -1, word_ids), word)
        in_long = ids < 0
        ids = tf.where(in_long, flat.put(flat.where(in_long), pieces.flat_values, num_pieces, 0), ids)
        lengths = tf.gather(self._lengths, ids)
        # [UNK] covers its whole word.
        lengths = tf.where(ids == self._unknown, tf.gather(words.lengths, word), lengths)
        starts = tf.cumsum(lengths, exclusive=True)
        return Pieces(ids, word, begins_word > 0, starts, lengths, boundaries, long_words, strings)
