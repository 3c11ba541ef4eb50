"""Packs sentences into sequences.

The tokens of a unit are in flat arrays. A segment is a range of coarse tokens with the fine tokens inside them, so both
grains of a sequence always cover the same text.

Without next sentence prediction, a sequence is filled with sentences of one document. If little room is left, it ends
at the end of a sentence. Otherwise, the next sentence is split, and the following sequence starts with the rest. No
text is lost, and all sequences except the last of a document are full. With next sentence prediction, segments are
chosen and truncated as in google-research/bert's `create_pretraining_data.py`, after splitting sentences that are too
long.
"""

import dataclasses
import random
from bisect import bisect_left, bisect_right
from itertools import pairwise

import numpy as np

from ambert_tf.errors import InputError

# A document with a single coarse token has no context to predict it from.
MIN_DOCUMENT_TOKENS = 2


@dataclasses.dataclass(frozen=True)
class TokenizedUnit:
    """The tokens of a unit of work.

    Attributes:
      coarse_ids: int32 [coarse].
      fine_ids: int32 [fine].
      fine_splits: int64 [coarse + 1]. Coarse token c contains fine tokens fine_splits[c] to fine_splits[c + 1].
      sentence_splits: int64 [sentences + 1], over coarse tokens. No sentence is empty.
      document_splits: int64 [documents + 1], over sentences. Every document has at least `MIN_DOCUMENT_TOKENS`.
    """

    coarse_ids: np.ndarray
    fine_ids: np.ndarray
    fine_splits: np.ndarray
    sentence_splits: np.ndarray
    document_splits: np.ndarray


@dataclasses.dataclass(frozen=True)
class Sequences:
    """The segments of sequences, as ranges of coarse tokens.

    Attributes:
      segments: int64 [sequences, 2 * segments per sequence], start and end of the first segment and, with next sentence
        prediction, of the second.
      next_sentence_label: int64 [sequences], 1 if the second segment is random, or None without next sentence
        prediction.
    """

    segments: np.ndarray
    next_sentence_label: np.ndarray | None


@dataclasses.dataclass(frozen=True)
class PackingSettings:
    """Settings of packing.

    Attributes:
      max_seq_length: maximum fine sequence length, including [CLS] and [SEP].
      max_coarse_seq_length: maximum coarse sequence length, including [CLS] and [SEP].
      short_seq_prob: probability of a shorter sequence, whose length is drawn uniformly.
      next_sentence: whether to create two segments per sequence, with a random second segment in half of the sequences.
    """

    max_seq_length: int
    max_coarse_seq_length: int
    short_seq_prob: float
    next_sentence: bool

    @property
    def fine_room(self) -> int:
        """The maximum number of fine tokens, excluding [CLS] and [SEP]."""
        return self.max_seq_length - (3 if self.next_sentence else 2)

    @property
    def coarse_room(self) -> int:
        """The maximum number of coarse tokens, excluding [CLS] and [SEP]."""
        return self.max_coarse_seq_length - (3 if self.next_sentence else 2)

    @property
    def longest_token(self) -> int:
        """The maximum number of fine tokens in a coarse token, which must fit into any segment."""
        return self.fine_room // 2 if self.next_sentence else self.fine_room


def keep_documents(
    coarse_ids: np.ndarray,
    fine_ids: np.ndarray,
    fine_splits: np.ndarray,
    sentence_splits: np.ndarray,
    document_splits: np.ndarray,
) -> tuple[TokenizedUnit, int]:
    """Removes empty sentences, and documents that are too short.

    Returns:
      The unit, and the number of removed documents.
    """
    document_bounds = sentence_splits[document_splits]
    long_enough = np.diff(document_bounds) >= MIN_DOCUMENT_TOKENS
    sentence_lengths = np.diff(sentence_splits)
    kept_sentences = np.repeat(long_enough, np.diff(document_splits)) & (sentence_lengths > 0)
    kept_coarse = np.repeat(np.repeat(long_enough, np.diff(document_splits)), sentence_lengths)
    if not long_enough.all():
        fine_counts = np.diff(fine_splits)
        fine_ids = fine_ids[np.repeat(kept_coarse, fine_counts)]
        coarse_ids = coarse_ids[kept_coarse]
        fine_splits = _splits(fine_counts[kept_coarse])
    sentences_before = _splits(kept_sentences)
    unit = TokenizedUnit(
        coarse_ids=coarse_ids,
        fine_ids=fine_ids,
        fine_splits=fine_splits,
        sentence_splits=_splits(sentence_lengths[kept_sentences]),
        document_splits=np.append(sentences_before[document_splits[:-1]][long_enough], sentences_before[-1]),
    )
    return unit, int(np.sum(~long_enough))


def _splits(lengths: np.ndarray) -> np.ndarray:
    splits = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=splits[1:])
    return splits


def pack(unit: TokenizedUnit, rule: PackingSettings, seed: int) -> Sequences:
    """Packs the sentences of a unit into sequences.

    Raises:
      InputError: a coarse token has too many fine tokens for `max_seq_length`.
    """
    longest = int(np.diff(unit.fine_splits).max(initial=0))
    if longest > rule.longest_token:
        least = 2 * longest + 3 if rule.next_sentence else longest + 2
        raise InputError(
            f"--max_seq_length={rule.max_seq_length}: too short for a coarse token of {longest} fine tokens in the "
            f"corpus; it must be at least {least}"
        )
    randomness = random.Random(seed)
    if rule.next_sentence:
        return _PairPacker(unit, rule, randomness).pack()
    return _pack_sentences(unit, rule, randomness)


def _pack_sentences(unit: TokenizedUnit, rule: PackingSettings, randomness: random.Random) -> Sequences:
    fine_splits = unit.fine_splits.tolist()
    # The start of each sentence, which is the end of the previous one.
    sentence_starts = unit.sentence_splits.tolist()
    spare_room = rule.fine_room // 8
    document_bounds = unit.sentence_splits[unit.document_splits].tolist()
    segments: list[int] = []
    for start, document_end in pairwise(document_bounds):
        while start < document_end:
            reach = min(
                start + rule.coarse_room,
                bisect_right(fine_splits, fine_splits[start] + rule.fine_room, start, document_end + 1) - 1,
                document_end,
            )
            end = reach
            if reach < document_end:
                last = bisect_right(sentence_starts, reach) - 1
                sentence_start = sentence_starts[last]
                if start < sentence_start and fine_splits[reach] - fine_splits[sentence_start] <= spare_room:
                    end = sentence_start
            if randomness.random() < rule.short_seq_prob:
                target = randomness.randint(2, rule.fine_room)
                filled = bisect_left(fine_splits, fine_splits[start] + target, start, document_end)
                end = min(end, sentence_starts[bisect_left(sentence_starts, filled)])
            segments += (start, end)
            start = end
    return Sequences(np.asarray(segments, np.int64).reshape(-1, 2), None)


class _PairPacker:
    """Creates sequences of two segments, as BERT does."""

    def __init__(self, unit: TokenizedUnit, rule: PackingSettings, randomness: random.Random):
        self._rule = rule
        self._random = randomness
        self._fine_splits = unit.fine_splits.tolist()
        self._split_long_sentences(unit)

    def _split_long_sentences(self, unit: TokenizedUnit) -> None:
        """Splits sentences that are longer than a sequence."""
        rule, fine_splits = self._rule, self._fine_splits
        bounds = unit.sentence_splits.tolist()
        self._starts: list[int] = []
        new_number = []
        for start, end in pairwise(bounds):
            new_number.append(len(self._starts))
            while start < end:
                self._starts.append(start)
                fits = bisect_right(fine_splits, fine_splits[start] + rule.fine_room, start, end + 1) - 1
                start = min(fits, start + rule.coarse_room)
        new_number.append(len(self._starts))
        self._ends = [*self._starts[1:], bounds[-1]] if self._starts else []
        self._documents = [new_number[number] for number in unit.document_splits.tolist()]

    def pack(self) -> Sequences:
        segments: list[int] = []
        labels: list[int] = []
        for document in range(len(self._documents) - 1):
            sentence, last = self._documents[document], self._documents[document + 1]
            while sentence < last:
                sentence = self._add_pair(document, sentence, last, segments, labels)
        return Sequences(np.asarray(segments, np.int64).reshape(-1, 4), np.asarray(labels, np.int64))

    def _add_pair(self, document: int, first: int, last: int, segments: list[int], labels: list[int]) -> int:
        """Adds the sequence that starts at sentence `first`, and returns the first sentence of the next sequence."""
        rule, randomness = self._rule, self._random
        target = rule.fine_room
        if randomness.random() < rule.short_seq_prob:
            target = randomness.randint(2, rule.fine_room)
        until = self._fill(first, last, target, rule.coarse_room)
        a_until = first + 1 if until - first < 2 else randomness.randint(first + 1, until - 1)
        a_start, a_end = self._starts[first], self._ends[a_until - 1]
        if until - first == 1 or randomness.random() < 0.5:
            fine_left = target - (self._fine_splits[a_end] - self._fine_splits[a_start])
            b_start, b_end = self._random_segment(document, a_until, fine_left, rule.coarse_room - (a_end - a_start))
            label, following = 1, a_until
        else:
            b_start, b_end = self._starts[a_until], self._ends[until - 1]
            label, following = 0, until
        segments += self._trim(a_start, a_end, b_start, b_end)
        labels.append(label)
        return following

    def _fill(self, first: int, last: int, fine_target: int, coarse_target: int) -> int:
        """Returns the end (exclusive) of the sentences, starting at `first`, that reach either target."""
        start = self._starts[first]
        filled = bisect_left(self._fine_splits, self._fine_splits[start] + max(1, fine_target), start)
        filled = min(filled, start + max(1, coarse_target))
        return min(bisect_left(self._ends, filled, first, last) + 1, last)

    def _random_segment(self, document: int, following: int, fine_target: int, coarse_target: int) -> tuple[int, int]:
        """Returns a segment of another document of the unit or, if there is no other, of the same document."""
        documents = len(self._documents) - 1
        other = document
        if documents > 1:
            other = self._random.randrange(documents - 1)
            other += other >= document
        first, last = self._documents[other], self._documents[other + 1]
        start = self._random.randrange(first, last)
        if other == document and start == following:
            start = first
        until = self._fill(start, last, fine_target, coarse_target)
        return self._starts[start], self._ends[until - 1]

    def _trim(self, a_start: int, a_end: int, b_start: int, b_end: int) -> tuple[int, int, int, int]:
        """Truncates a pair to the maximum lengths, the longer segment first, at a random end."""
        fine_splits = self._fine_splits
        a_fine, b_fine = _shares(
            fine_splits[a_end] - fine_splits[a_start],
            fine_splits[b_end] - fine_splits[b_start],
            self._rule.fine_room,
        )
        a_start, a_end = self._trim_fine(a_start, a_end, a_fine)
        b_start, b_end = self._trim_fine(b_start, b_end, b_fine)
        a_coarse, b_coarse = _shares(a_end - a_start, b_end - b_start, self._rule.coarse_room)
        a_start += self._coin_tosses(a_end - a_start - a_coarse)
        b_start += self._coin_tosses(b_end - b_start - b_coarse)
        return a_start, min(a_end, a_start + a_coarse), b_start, min(b_end, b_start + b_coarse)

    def _trim_fine(self, start: int, end: int, room: int) -> tuple[int, int]:
        fine_splits = self._fine_splits
        excess = fine_splits[end] - fine_splits[start] - room
        if excess <= 0:
            return start, end
        start = bisect_left(fine_splits, fine_splits[start] + self._coin_tosses(excess), start)
        return start, min(end, bisect_right(fine_splits, fine_splits[start] + room, start, end + 1) - 1)

    def _coin_tosses(self, count: int) -> int:
        """Returns how many of `count` tokens are removed at the front, by one coin toss per token."""
        return self._random.getrandbits(count).bit_count() if count > 0 else 0


def _shares(a_length: int, b_length: int, room: int) -> tuple[int, int]:
    """Returns the lengths of two segments after truncating the longer one until both fit."""
    if a_length + b_length <= room:
        return a_length, b_length
    if a_length <= room // 2:
        return a_length, room - a_length
    if b_length <= room // 2:
        return room - b_length, b_length
    return room - room // 2, room // 2
