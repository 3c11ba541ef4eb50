"""Splits text into the segments in which phrases are searched: runs of words separated only by white space."""

import collections
import concurrent.futures
import functools
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from ambert_tf.corpus.documents import usable_cores
from ambert_tf.tokenization.characters import LETTER, NUM_CODEPOINTS
from ambert_tf.tokenization.normalizer import Normalizer, find_words


class SegmentCutter(tf.Module):
    """Splits sentences into segments of the tokenizer's words.

    A segment ends at the end of a sentence, and at anything other than words of letters and digits, such as
    punctuation, symbols and CJK characters.

    Args:
      do_lower_case, fold, strip_accents: see the tokenizer's `Normalizer`.
    """

    def __init__(self, do_lower_case: bool, fold: bool, strip_accents: bool | None = None):
        super().__init__(name="segment_cutter")
        self._normalizer = Normalizer(do_lower_case, fold, strip_accents)

    def __call__(self, blocks: Iterable[Sequence[bytes]]) -> Iterator[bytes]:
        """Yields the segments of each block of sentences, one per line, with words separated by one space."""
        cores = usable_cores()
        with concurrent.futures.ThreadPoolExecutor(cores) as threads:
            waiting: collections.deque[concurrent.futures.Future[bytes]] = collections.deque()
            for block in blocks:
                waiting.append(threads.submit(self._segments, block))
                if len(waiting) > cores:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _segments(self, sentences: Sequence[bytes]) -> bytes:
        return _lines(*(tensor.numpy() for tensor in self._words(tf.constant(sentences, tf.string))))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def _words(self, sentences: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Returns the characters; the first character, length and kind of each word; and the sentences' row splits."""
        text = self._normalizer(sentences)
        words = find_words(text)
        return words.codes, words.starts, words.lengths, tf.gather(text.kinds, words.character), words.splits


@functools.cache
def segment_cutter(do_lower_case: bool, fold: bool, strip_accents: bool | None = None) -> SegmentCutter:
    """Returns the cutter for these settings. It is cached, because creating one takes seconds."""
    return SegmentCutter(do_lower_case, fold, strip_accents)


def _lines(codes: np.ndarray, starts: np.ndarray, lengths: np.ndarray, kinds: np.ndarray, splits: np.ndarray) -> bytes:
    if not len(starts):
        return b""
    part = (kinds == LETTER) & np.logical_and.reduceat(_of_words()[codes], starts)
    follows = np.zeros(len(part), bool)
    follows[1:] = part[:-1]
    first = splits[:-1]
    follows[first[first < len(part)]] = False
    # Each word is preceded by one character: a space, or the newline that ends the previous segment.
    widths = np.where(part, lengths + 1, 0)
    separators = (np.cumsum(widths) - widths)[part]
    characters = np.empty(int(widths.sum()), np.dtype("<u4"))
    in_word = np.ones(len(characters), bool)
    in_word[separators] = False
    characters[separators] = np.where(follows[part], ord(" "), ord("\n"))
    characters[in_word] = codes[np.repeat(part, lengths)]
    if not len(characters):
        return b""
    return characters[1:].tobytes().decode("utf-32-le").encode() + b"\n"


@functools.cache
def _of_words() -> np.ndarray:
    """Returns a mask of the characters that are part of words: letters, numbers and combining marks."""
    return np.array([unicodedata.category(chr(code))[0] in "LNM" for code in range(NUM_CODEPOINTS)])
