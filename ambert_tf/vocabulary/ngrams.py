"""N-gram counts: selection of frequent n-grams, and lookup by words."""

import numpy as np

from ambert_tf.vocabulary.kenlm_programs import NUM_SPECIAL_WORDS, NgramCounts


class NgramSelection:
    """Finds the frequent n-grams of `order` words in the counts of longer n-grams that end with them.

    Args:
      order: number of words, at most that of the counted n-grams.
      min_count: minimum count.
    """

    def __init__(self, order: int, min_count: int):
        self.order = order
        self.distinct = 0
        self._min_count = min_count
        self._last = NgramCounts(np.zeros((0, order), np.int64), np.zeros(0, np.int64))
        self._kept: list[NgramCounts] = []

    def add(self, ngrams: NgramCounts) -> None:
        """Adds counts in the order of `KenlmPrograms.counts`, in which n-grams with the same ending are adjacent."""
        words = np.concatenate([self._last.words, ngrams.words[:, -self.order :]])
        counts = np.concatenate([self._last.counts, ngrams.counts])
        first = np.concatenate([[True], (words[1:] != words[:-1]).any(axis=1)])
        words, counts = words[first], np.add.reduceat(counts, np.flatnonzero(first))
        # Counts of the last n-gram may continue in the next call.
        self._keep(words[:-1], counts[:-1])
        self._last = NgramCounts(words[-1:], counts[-1:])

    def finish(self) -> NgramCounts:
        """Returns the frequent n-grams. Call it after the last `add`."""
        self._keep(*self._last)
        return NgramCounts(*(np.concatenate(parts) for parts in zip(*self._kept, strict=True)))

    def _keep(self, words: np.ndarray, counts: np.ndarray) -> None:
        within_segment = (words >= NUM_SPECIAL_WORDS).all(axis=1)
        self.distinct += int(within_segment.sum())
        frequent = within_segment & (counts >= self._min_count)
        self._kept.append(NgramCounts(words[frequent], counts[frequent]))


class NgramTable:
    """Looks up the counts of words and frequent n-grams.

    Args:
      word_counts: int64 [words].
    """

    def __init__(self, word_counts: np.ndarray):
        self._counts = [word_counts]
        self._keys: list[np.ndarray] = []

    def add(self, ngrams: NgramCounts) -> None:
        """Adds the n-grams of the next order, which must include the prefixes of all n-grams of higher orders."""
        keys = self._keys_of(ngrams.words)
        order = np.argsort(keys)
        self._keys.append(keys[order])
        self._counts.append(ngrams.counts[order])

    def counts(self, words: np.ndarray) -> np.ndarray:
        """Returns the counts, int64 [ngrams], of n-grams in the table, int64 [ngrams, order]."""
        order = words.shape[1]
        index = words[:, 0] if order == 1 else np.searchsorted(self._keys[order - 2], self._keys_of(words))
        return self._counts[order - 1][index]

    def _keys_of(self, words: np.ndarray) -> np.ndarray:
        """Returns numbers that identify n-grams, composed of the index of all words but the last, and the last word."""
        index = words[:, 0]
        for level, following in enumerate(words.T[1:-1]):
            index = np.searchsorted(self._keys[level], index * len(self._counts[0]) + following)
        return index * len(self._counts[0]) + words[:, -1]
