"""Chinese word segmentation with jieba's dictionary, converted to a SentencePiece unigram model.

Without its hidden Markov model, jieba chooses the segmentation with the highest sum of log probabilities. A unigram
model does the same if its pieces are the dictionary's words with the same log probabilities.
"""

import math
import re
from collections.abc import Container, Iterable, Mapping

import jieba
import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text
from sentencepiece import sentencepiece_model_pb2 as sentencepiece

from ambert_tf.errors import InputError
from ambert_tf.files import check_input_file, read_bytes
from ambert_tf.tokenization import flat
from ambert_tf.tokenization.characters import CJK, CJK_BLOCKS
from ambert_tf.tokenization.normalizer import Characters, Words
from ambert_tf.tokenization.phrases import PhraseMatcher, split_words
from ambert_tf.tokenization.wordpiece import Pieces

# Replaces every character that is not in the dictionary, because SentencePiece would merge adjacent unknown characters.
OTHER = ","
UNKNOWN_PIECE = "<unk>"
# Represented exactly by a float64.
_MAX_COUNT_DIGITS = 15
# SentencePiece adds up float32 scores over a row. In a long row, rounding errors would change the segmentation.
_MAX_ROW_CHARACTERS = 128
# Minimum ratio of a word's probability to that of its segmentation, so that rounding errors do not split the word.
_MARGIN = 1.001
# A line of a dictionary, as parsed by jieba.
_DICTIONARY_LINE = re.compile("(?P<word>.+?)(?: (?P<count>[0-9]+))?(?: [a-z]+)?")


def read_jieba_frequencies(path: str | None = None, flag: str = "user_dict") -> dict[str, int | None]:
    """Reads a dictionary in jieba's format, one `word [count [part of speech]]` per line.

    Args:
      path: the file. Defaults to jieba's own dictionary.
      flag: the flag that named the file, for error messages.

    Returns:
      The count of each word, or None if it has no count. A word may contain spaces.

    Raises:
      InputError: the file does not exist, a line is not UTF-8, or a count is too large.
    """
    counts: dict[str, int | None] = {}
    if path is None:
        with jieba.dt.get_dict_file() as file:
            content = file.read()
    else:
        check_input_file(path, flag)
        content = read_bytes(path)
    for number, line in enumerate(content.split(b"\n"), 1):
        try:
            text = " ".join(line.decode("utf-8-sig" if number == 1 else "utf-8").split())
        except UnicodeDecodeError:
            raise InputError(f"--{flag}: {path}, line {number}: not UTF-8") from None
        found = _DICTIONARY_LINE.fullmatch(text)
        if found is None:
            continue  # an empty line
        count = found["count"]
        if count is not None and len(count) > _MAX_COUNT_DIGITS:
            raise InputError(f"--{flag}: {path}, line {number}: the count has {len(count)} digits; the maximum is 15")
        counts[found["word"]] = None if count is None else int(count)
    return counts


def build_segmenter(
    frequencies: Mapping[str, int | None], user_frequencies: Mapping[str, int | None] | None = None
) -> bytes:
    """Builds the segmenter of a Chinese tokenizer.

    Args:
      frequencies: the words of jieba's dictionary with their counts.
      user_frequencies: words to add or override. As in jieba, a word without a count gets a count that just keeps it
        from being split, and a count of 0 removes a word.

    Returns:
      A serialized SentencePiece `ModelProto` of type unigram. Its pieces are the words that consist only of
      Chinese characters, and all their characters.
    """
    counts = {word: count or 0 for word, count in frequencies.items()}
    total = sum(counts.values())
    for word, count in (user_frequencies or {}).items():
        if count is None:
            count = max(_count_to_stay_whole(word, counts, total), counts.get(word, 0))
        total += count - counts.get(word, 0)
        counts[word] = count
    words = {word: count for word, count in counts.items() if count and is_chinese(word)}
    for character in sorted({c for word in words for c in word}):
        # In jieba, a character that is not a word has the count 1.
        words.setdefault(character, 1)
    model = sentencepiece.ModelProto()
    model.trainer_spec.model_type = sentencepiece.TrainerSpec.UNIGRAM
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = False
    model.normalizer_spec.remove_extra_whitespaces = False
    model.normalizer_spec.escape_whitespaces = False
    model.pieces.add(piece=UNKNOWN_PIECE, score=0.0, type=sentencepiece.ModelProto.SentencePiece.UNKNOWN)
    model.pieces.add(piece=OTHER, score=0.0)
    log_total = math.log(total)
    for word, count in sorted(words.items()):
        model.pieces.add(piece=word, score=math.log(count) - log_total)
    return model.SerializeToString(deterministic=True)


def keep_words(model: bytes, words: Container[str]) -> bytes:
    """Removes all other words from a segmenter, which then splits them into the remaining words.

    Args:
      model: a segmenter from `build_segmenter`.
      words: the words to keep. Single characters are always kept.
    """
    full = sentencepiece.ModelProto.FromString(model)
    kept = [piece for piece in full.pieces if len(piece.piece) == 1 or piece.piece in words]
    del full.pieces[:]
    full.pieces.add(piece=UNKNOWN_PIECE, score=0.0, type=sentencepiece.ModelProto.SentencePiece.UNKNOWN)
    full.pieces.extend(kept)
    return full.SerializeToString(deterministic=True)


# A regular expression, because jieba's dictionary has 349,000 words.
_CHINESE = re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in CJK_BLOCKS) + "]*")


def is_chinese(word: str) -> bool:
    """Returns whether a word consists only of Chinese characters, which the segmenter handles."""
    return _CHINESE.fullmatch(word) is not None


def _count_to_stay_whole(word: str, counts: dict[str, int], total: int) -> int:
    """Returns a count that makes a word slightly more probable than its best segmentation."""
    best: list[float] = [0.0] + [-math.inf] * len(word)
    for end in range(1, len(word) + 1):
        for start in range(end):
            part = word[start:end]
            if part != word and (counts.get(part) or end - start == 1):
                best[end] = max(best[end], best[start] + math.log((counts.get(part) or 1) / total))
    return int(_MARGIN * math.exp(best[-1]) * total) + 1


def pieces_of(model: bytes, path: str) -> list[str]:
    """Returns the pieces of a segmenter in the order of their ids.

    Raises:
      InputError: `model` is not a SentencePiece model.
    """
    proto = sentencepiece.ModelProto()
    try:
        proto.ParseFromString(model)
    except Exception:  # protobuf's DecodeError has no stable import path
        raise InputError(
            f"{path}: is not a SentencePiece model; rebuild the tokenizer with data/build_vocab.py"
        ) from None
    pieces = [piece.piece for piece in proto.pieces]
    if OTHER not in pieces or UNKNOWN_PIECE not in pieces:
        raise InputError(f"{path}: is not a segmenter of this project; rebuild the tokenizer with data/build_vocab.py")
    return pieces


def dictionary_characters(pieces: Iterable[str]) -> set[str]:
    """Returns the characters of the segmenter's words."""
    return {c for piece in pieces if piece not in (OTHER, UNKNOWN_PIECE) for c in piece}


def _row_splits(known: tf.Tensor, text_splits: tf.Tensor) -> tf.Tensor:
    """Returns the row splits, int32 [rows + 1], after splitting long texts before each run of known characters.

    Args:
      known: int32 [characters], codepoints. A character outside the dictionary is `OTHER`.
      text_splits: int32 [batch + 1], the row splits of the texts.
    """
    is_long = flat.row_lengths(text_splits) > _MAX_ROW_CHARACTERS

    def split() -> tf.Tensor:
        is_known = known != ord(OTHER)
        of_long_text = tf.gather(is_long, flat.row_of(text_splits, tf.size(known)))
        # The start of a text appears twice, which creates an empty row.
        return tf.sort(tf.concat([text_splits, flat.where(is_known & ~flat.previous(is_known) & of_long_text)], 0))

    return tf.cond(tf.reduce_any(is_long), split, lambda: text_splits)


class Segmenter(tf.Module):
    """Segments runs of Chinese characters into words, and looks these up in the coarse vocabulary.

    Entries with other characters, such as t恤 or c++, come from jieba's dictionary or the user's. They are matched
    first, from left to right, longest match first, and only the text between them is segmented.

    Args:
      model: serialized SentencePiece unigram model from `build_segmenter`.
      coarse_entries: coarse id of each word or phrase.
      path: the model's file, for error messages.

    Raises:
      InputError: `model` is not a segmenter.
    """

    def __init__(self, model: bytes, coarse_entries: dict[str, int], path: str = "segmenter.model"):
        super().__init__(name="segmenter")
        pieces = pieces_of(model, path)
        # Returns the same ids as SentencepieceTokenizer in half the time.
        self._sentencepiece = tf_text.FastSentencepieceTokenizer(model=model)
        self._lengths = tf.constant([len(piece) for piece in pieces], tf.int32)
        self._coarse_ids = tf.constant(
            [coarse_entries.get(piece, -1) if len(piece) > 1 else -1 for piece in pieces], tf.int32
        )
        mixed = {
            entry: index
            for entry, index in coarse_entries.items()
            if not is_chinese(entry) and len(split_words(entry)) > 1
        }
        self._mixed = PhraseMatcher(mixed, exact_spacing=True) if mixed else None
        known = sorted(map(ord, dictionary_characters(pieces)))
        table = np.full(max(known, default=0) + 2, ord(OTHER), np.int32)
        table[known] = known
        self._characters = tf.constant(table)

    def segment(self, text: Characters, hidden: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Segments texts.

        Args:
          text: the characters of a batch.
          hidden: int32 [hidden], indices of characters to exclude from words.

        Returns:
          ids: int32 [segments], pieces of the model. A character that is not in its dictionary is `OTHER`.
          starts: int32 [segments], the first character of each segment.
        """
        known = tf.gather(self._characters, tf.minimum(text.codes, tf.size(self._characters) - 1))
        visible = text.kinds == CJK
        if hidden is not None:
            visible &= flat.marks(hidden, tf.size(known)) == 0
        known = tf.where(visible, known, ord(OTHER))
        rows = tf.RaggedTensor.from_row_splits(known, _row_splits(known, text.splits), validate=False)
        ids = self._sentencepiece.tokenize(tf.strings.unicode_encode(rows, "UTF-8")).flat_values
        return ids, tf.cumsum(tf.gather(self._lengths, ids), exclusive=True)

    def __call__(self, text: Characters, words: Words, pieces: Pieces) -> tuple[tf.Tensor, tf.Tensor]:
        """Finds the words of the coarse vocabulary. Only mixed entries need `pieces`.

        Returns:
          coarse_ids: int32 [words], the coarse id of the entry that the word is part of, or -1.
          continues: bool [words], whether the word continues the entry of the previous word.
        """
        if self._mixed is None:
            return self._find(text, words)
        mixed_ids, mixed_continues = self._mixed(text, words, pieces)
        is_mixed = mixed_ids >= 0
        coarse_ids, continues = self._find(text, words, tf.boolean_mask(words.character, is_mixed))
        return tf.where(is_mixed, mixed_ids, coarse_ids), tf.where(is_mixed, mixed_continues, continues)

    def _find(
        self, text: Characters, words: Words, hidden: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        ids, starts = self.segment(text, hidden)
        begins = flat.marks(starts, tf.size(text.codes))
        segment = tf.gather(tf.cumsum(begins) - 1, words.character)
        coarse_ids = tf.gather(tf.gather(self._coarse_ids, ids), segment)
        return coarse_ids, (coarse_ids >= 0) & (tf.gather(begins, words.character) == 0)
