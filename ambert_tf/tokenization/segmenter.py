"""Chinese word segmentation: jieba's dictionary as a SentencePiece unigram model, cut in graph.

jieba without its hidden Markov model takes the words whose log probabilities sum highest; so does a
unigram model whose pieces are the dictionary's words with the same log probabilities.
"""

import math
import re
from collections.abc import Iterable, Mapping

import jieba
import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text
from sentencepiece import sentencepiece_model_pb2 as sentencepiece

from ambert_tf.errors import InputError
from ambert_tf.files import check_input_file, read_bytes
from ambert_tf.tokenization import flat
from ambert_tf.tokenization.characters import CJK, is_cjk
from ambert_tf.tokenization.normalizer import Characters, Words
from ambert_tf.tokenization.wordpiece import Pieces

# Stands for every character that is part of no dictionary word, so that the segmenter meets only pieces it
# knows: unknown characters would be merged.
OTHER = ","
UNKNOWN_PIECE = "<unk>"
# As jieba reads a line of a dictionary.
_DICTIONARY_LINE = re.compile("(?P<word>.+?)(?: (?P<count>[0-9]+))?(?: [a-z]+)?")


def read_jieba_frequencies(path: str | None = None, flag: str = "user_dict") -> dict[str, int | None]:
    """Reads a dictionary in jieba's format, `word [count [part of speech]]` a line.

    Args:
      path: the file; jieba's own dictionary by default.
      flag: the flag that names it, for errors.

    Returns:
      The count of each word; None where the line has none. A word may hold spaces.

    Raises:
      InputError: no such file, or a line that is not UTF-8.
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
        if found is not None:  # the line is not empty
            counts[found["word"]] = None if found["count"] is None else int(found["count"])
    return counts


def build_segmenter(
    frequencies: Mapping[str, int | None], user_frequencies: Mapping[str, int | None] | None = None
) -> bytes:
    """Makes the segmenter of a Chinese tokenizer.

    Args:
      frequencies: words with their counts, as jieba's dictionary has them.
      user_frequencies: words to add or to overrule. As with jieba, one without a count gets the smallest that keeps the
        word whole, and a count of 0 takes a word out.

    Returns:
      A serialized SentencePiece `ModelProto` of type unigram. Its pieces are the words that consist of
      Chinese characters alone, and every character of theirs.
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
        # jieba gives a character that is no word of its own the count 1.
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


def is_chinese(word: str) -> bool:
    """Returns whether a word consists of Chinese characters alone; the segmenter sees runs of such."""
    return all(is_cjk(ord(character)) for character in word)


def _count_to_stay_whole(word: str, counts: dict[str, int], total: int) -> int:
    """The smallest count with which the word wins against its best cut."""
    best: list[float] = [0.0] + [-math.inf] * len(word)
    for end in range(1, len(word) + 1):
        for start in range(end):
            part = word[start:end]
            if part != word and (counts.get(part) or end - start == 1):
                best[end] = max(best[end], best[start] + math.log((counts.get(part) or 1) / total))
    return int(math.exp(best[-1]) * total) + 1


def pieces_of(model: bytes, path: str) -> list[str]:
    """Returns the pieces of a segmenter in the order of their ids.

    Raises:
      InputError: `model` is no SentencePiece model.
    """
    proto = sentencepiece.ModelProto()
    try:
        proto.ParseFromString(model)
    except Exception:  # protobuf's DecodeError has no stable place to import it from
        raise InputError(
            f"{path}: is no SentencePiece model; make the tokenizer anew with data/build_vocab.py"
        ) from None
    pieces = [piece.piece for piece in proto.pieces]
    if OTHER not in pieces or UNKNOWN_PIECE not in pieces:
        raise InputError(f"{path}: is no segmenter of this project; make the tokenizer anew with data/build_vocab.py")
    return pieces


def dictionary_characters(pieces: Iterable[str]) -> set[str]:
    """Returns the characters that the segmenter knows."""
    return {c for piece in pieces if piece not in (OTHER, UNKNOWN_PIECE) for c in piece}


class Segmenter(tf.Module):
    """Cuts runs of Chinese characters into words, in graph, and finds those of the coarse vocabulary.

    Args:
      model: serialized SentencePiece unigram model, as `build_segmenter` makes it.
      coarse_entries: coarse id of each word or phrase.
      path: the model's file, for errors.

    Raises:
      InputError: `model` is no segmenter.
    """

    def __init__(self, model: bytes, coarse_entries: dict[str, int], path: str = "segmenter.model"):
        super().__init__(name="segmenter")
        pieces = pieces_of(model, path)
        # Gives the ids of SentencepieceTokenizer in half its time.
        self._sentencepiece = tf_text.FastSentencepieceTokenizer(model=model)
        self._lengths = tf.constant([len(piece) for piece in pieces], tf.int32)
        self._coarse_ids = tf.constant(
            [coarse_entries.get(piece, -1) if len(piece) > 1 else -1 for piece in pieces], tf.int32
        )
        known = sorted(map(ord, dictionary_characters(pieces)))
        table = np.full(max(known, default=0) + 2, ord(OTHER), np.int32)
        table[known] = known
        self._characters = tf.constant(table)

    def segment(self, text: Characters) -> tuple[tf.Tensor, tf.Tensor]:
        """Cuts texts.

        Returns:
          ids: int32 [segments]; pieces of the model, characters outside of its dictionary one by one as `OTHER`.
          starts: int32 [segments]; the first character of each.
        """
        known = tf.gather(self._characters, tf.minimum(text.codes, tf.size(self._characters) - 1))
        known = tf.where(text.kinds == CJK, known, ord(OTHER))
        rows = tf.RaggedTensor.from_row_splits(known, text.splits, validate=False)
        ids = self._sentencepiece.tokenize(tf.strings.unicode_encode(rows, "UTF-8")).flat_values
        return ids, tf.cumsum(tf.gather(self._lengths, ids), exclusive=True)

    def __call__(self, text: Characters, words: Words, pieces: Pieces) -> tuple[tf.Tensor, tf.Tensor]:
        """Finds the words of the coarse vocabulary; `pieces` is not needed, phrases need it.

        Returns:
          coarse_ids: int32 [words]; the coarse id of the entry that the word is part of, or -1.
          continues: bool [words]; whether the word goes on with the entry of the word before.
        """
        ids, starts = self.segment(text)
        begins = flat.marks(starts, tf.size(text.codes))
        segment = tf.gather(tf.cumsum(begins) - 1, words.character)
        coarse_ids = tf.gather(tf.gather(self._coarse_ids, ids), segment)
        return coarse_ids, (coarse_ids >= 0) & (tf.gather(begins, words.character) == 0)
