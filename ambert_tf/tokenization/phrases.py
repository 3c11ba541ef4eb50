"""Finds English phrases from left to right, with the longest match first (§4.1 of the paper)."""

import math
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.files import check_input_file, open_input
from ambert_tf.tokenization import flat
from ambert_tf.tokenization.characters import LETTER, WHITESPACE, kind_of
from ambert_tf.tokenization.normalizer import INT, Characters, Normalizer, Words, are_apart, normalize_phrases
from ambert_tf.tokenization.wordpiece import Pieces


class PhraseMatcher(tf.Module):
    """Finds the phrases of the coarse vocabulary in a text, from left to right, longest match first.

    The phrases form a trie, which is traversed in parallel from all words of a batch, in as many steps as the longest
    phrase has words.

    Args:
      entries: coarse id of each phrase. A phrase's words are joined by one space or, with `exact_spacing`, spelled as
        in running text.
      exact_spacing: whether white space must separate words in the text exactly where it does in the phrase.
    """

    def __init__(self, entries: dict[str, int], exact_spacing: bool = False):
        super().__init__(name="phrase_matcher")
        self._exact_spacing = exact_spacing
        split = split_words if exact_spacing else (lambda phrase: phrase.split(" "))
        phrases = [(split(phrase), index) for phrase, index in entries.items()]
        self.max_words = max((len(phrase) for phrase, _ in phrases), default=1)
        firsts = {phrase[0] for phrase, _ in phrases}
        others = {word.strip(" ") for phrase, _ in phrases for word in phrase[1:]} - firsts
        words = [*sorted(firsts), *sorted(others)]
        self._num_firsts = len(firsts)
        word_index = {word: index for index, word in enumerate(words)}
        # A word is a different symbol if it is separated from the previous word.
        self._num_words = max(len(words), 1)
        symbols = word_index | {f" {word}": self._num_words + index for word, index in word_index.items()}
        # The first nodes of the trie are the words.
        accepts = [flat.NOT_FOUND] * len(words)
        edges: dict[int, int] = {}
        for phrase, index in phrases:
            node = word_index[phrase[0]]
            for word in phrase[1:]:
                key = node * 2 * self._num_words + symbols[word]
                if key not in edges:
                    edges[key] = len(accepts)
                    accepts.append(flat.NOT_FOUND)
                node = edges[key]
            accepts[node] = index
        self._accepts = tf.constant(accepts or [flat.NOT_FOUND], INT)
        self._edges = flat.integer_table(edges)
        self._words = flat.string_table(word_index)
        single = {ord(word): index for word, index in word_index.items() if len(word) == 1}
        characters = np.full(max(single, default=0) + 2, flat.NOT_FOUND, np.int32)
        characters[list(single)] = list(single.values())
        self._characters = tf.constant(characters)

    def __call__(self, text: Characters, words: Words, pieces: Pieces) -> tuple[tf.Tensor, tf.Tensor]:
        """Finds the phrases of the coarse vocabulary. Only the segmenter needs `text`.

        Returns:
          coarse_ids: int32 [words], the coarse id of the phrase that the word is part of, or -1.
          continues: bool [words], whether the word continues the phrase of the previous word.
        """
        size = tf.size(words.lengths)
        if self.max_words == 1:
            return tf.fill([size], flat.NOT_FOUND), tf.zeros([size], tf.bool)
        indices = self._word_indices(words, pieces)
        symbols = indices
        if self._exact_spacing:
            symbols = tf.where((indices >= 0) & are_apart(text, words), indices + self._num_words, indices)
        following = self._following(symbols, words.splits)
        begins = flat.where((indices >= 0) & (indices < self._num_firsts))
        begins, nodes = self._step(begins, tf.gather(indices, begins), following, 1)
        # Most texts contain no entry of a Segmenter.
        return tf.cond(
            tf.size(begins) > 0,
            lambda: self._choose(begins, nodes, following, size),
            lambda: (tf.fill([size], flat.NOT_FOUND), tf.zeros([size], tf.bool)),
        )

    def _choose(
        self, begins: tf.Tensor, nodes: tf.Tensor, following: tf.Tensor, size: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the results of `__call__`, given the words whose first two words start a phrase."""
        lengths, ids = self._longest_from_each(begins, nodes, following, size)
        chosen = _walk(lengths, self.max_words)
        chosen_lengths = tf.gather(lengths, chosen)
        steps = range(1, self.max_words)
        inside = tf.concat([tf.boolean_mask(chosen + step, chosen_lengths > step) for step in steps], 0)
        continues = flat.marks(inside, size)
        # A word belongs to the phrase of the last word, up to and including itself, that does not continue a phrase.
        holders = flat.where(continues == 0)
        coarse_ids = tf.where(flat.marks(chosen, size) > 0, ids, flat.NOT_FOUND)
        coarse_ids = tf.gather(tf.gather(coarse_ids, holders), flat.range_index(holders, size))
        return coarse_ids, continues > 0

    def _word_indices(self, words: Words, pieces: Pieces) -> tf.Tensor:
        codes = tf.gather(words.codes, words.starts)
        indices = tf.gather(self._characters, tf.minimum(codes, tf.size(self._characters) - 1))
        return tf.tensor_scatter_nd_update(
            indices, pieces.long_words[:, tf.newaxis], self._words.lookup(pieces.long_strings)
        )

    def _following(self, symbols: tf.Tensor, splits: tf.Tensor) -> tf.Tensor:
        """Returns the symbols of words that continue a text, int32 [words + max_words], and `NOT_FOUND` elsewhere."""
        size = tf.size(symbols)
        # A phrase does not extend beyond the last word, or into another text.
        first_of_text = flat.marks(tf.boolean_mask(splits[:-1], splits[:-1] < size), size) > 0
        following = tf.where(first_of_text, flat.NOT_FOUND, symbols)
        return tf.pad(following, [[0, self.max_words]], constant_values=flat.NOT_FOUND)

    def _step(
        self, begins: tf.Tensor, nodes: tf.Tensor, following: tf.Tensor, step: int
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the starting positions and the nodes of the traversals that continue with the word at `step`."""
        words = tf.gather(following, begins + step)
        known = flat.where(words >= 0)
        begins, nodes, words = (tf.gather(values, known) for values in (begins, nodes, words))
        nodes = self._edges.lookup(tf.cast(nodes, tf.int64) * 2 * self._num_words + tf.cast(words, tf.int64))
        known = flat.where(nodes >= 0)
        return tf.gather(begins, known), tf.gather(nodes, known)

    def _longest_from_each(
        self, begins: tf.Tensor, nodes: tf.Tensor, following: tf.Tensor, size: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the length in words and the coarse id of the longest phrase that starts at each word, or 1 and -1."""
        lengths, ids = tf.ones([size], INT), tf.fill([size], flat.NOT_FOUND)
        for step in range(1, self.max_words):
            if step > 1:
                begins, nodes = self._step(begins, nodes, following, step)
            found = flat.put(begins, tf.gather(self._accepts, nodes), size, flat.NOT_FOUND)
            ids = tf.where(found >= 0, found, ids)
            lengths = tf.where(found >= 0, step + 1, lengths)
        return lengths, ids


def split_words(phrase: str) -> list[str]:
    """Splits a normalized phrase into BERT's words. A word preceded by white space starts with a space."""
    words: list[str] = []
    gap, in_word = "", False
    for character in phrase:
        kind = kind_of(character)
        if kind == WHITESPACE:
            gap, in_word = " ", False
        elif kind == LETTER and in_word:
            words[-1] += character
        else:
            words.append(gap + character if words else character)
            gap, in_word = "", kind == LETTER
    return words


def _walk(lengths: tf.Tensor, max_length: int) -> tf.Tensor:
    """Chooses non-overlapping phrases from left to right.

    A phrase whose first word is not in any earlier phrase is certain to be chosen. From these phrases, the jumps from
    phrase to phrase are doubled, so the number of rounds is logarithmic in the longest chain of overlapping phrases.

    Args:
      lengths: int32 [words], the length of the phrase that starts at each word, or 1 if there is none.

    Returns:
      int32 [chosen], the positions where the chosen phrases start.
    """
    is_phrase = lengths > 1
    phrases = flat.where(is_phrase)
    count = tf.size(phrases)
    reached_into = tf.zeros_like(is_phrase)
    for distance in range(1, max_length):
        reached_into |= tf.pad(lengths > distance, [[distance, 0]])[: tf.size(lengths)]
    certain = tf.logical_not(tf.gather(reached_into, phrases))
    # The next phrase that does not start inside this one. An extra position at the end receives the last jumps.
    before = tf.pad(tf.cumsum(tf.cast(is_phrase, INT)), [[1, 0]])
    jumps = tf.concat([tf.gather(before, phrases + tf.gather(lengths, phrases)), [count]], 0)
    marks = tf.pad(tf.cast(certain, INT), [[0, 1]])

    def double(left, marks, jumps):
        reached = tf.gather(jumps, flat.where(marks > 0))
        return left // 2, marks | flat.marks(reached, count + 1), tf.gather(jumps, jumps)

    heads = flat.where(certain)
    longest_chain = tf.reduce_max(tf.concat([flat.ends_of(heads, count) - heads, [1]], 0)) - 1
    _, marks, _ = tf.while_loop(lambda left, *_: left > 0, double, (longest_chain, marks, jumps))
    return tf.boolean_mask(phrases, marks[:count] > 0)


@dataclass(frozen=True)
class PhraseRow:
    """A line of `phrases.tsv`: the phrase, its count in the corpus, and log10 P(last word | preceding words)."""

    phrase: str
    count: int
    log10_conditional_probability: float


def read_phrases(path: str, flag: str = "phrases_file") -> Iterator[PhraseRow]:
    """Reads `phrases.tsv`.

    Raises:
      InputError: the file does not exist; or a line is not UTF-8, does not have three fields, has an empty word or a
        single word, its count is not a number of at least 0, or its probability is not a finite number.
    """
    check_input_file(path, flag)
    with open_input(path) as file:
        for number, line in enumerate(file, 1):
            where = f"--{flag}: {path}, line {number}"
            try:
                fields = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n").split("\t")
            except UnicodeDecodeError:
                raise InputError(f"{where}: not UTF-8") from None
            if len(fields) != 3:
                raise InputError(
                    f"{where}: has {len(fields)} fields; phrase, count, log10 probability, tab-separated, are expected"
                )
            words = fields[0].split(" ")
            if len(words) < 2 or not all(words) or any(word.strip() != word for word in words):
                raise InputError(f"{where}: {fields[0]!r} is not two or more words joined by single spaces")
            try:
                row = PhraseRow(fields[0], int(fields[1]), float(fields[2]))
            except ValueError:
                raise InputError(f"{where}: count or probability is not a number") from None
            if row.count < 0 or not math.isfinite(row.log10_conditional_probability):
                raise InputError(
                    f"{where}: a count of at least 0 and a finite log10 probability are expected, not {fields[1]} and "
                    f"{fields[2]}"
                )
            yield row


def normalize_rows(rows: Iterable[PhraseRow], normalizer: Normalizer) -> list[PhraseRow]:
    """Normalizes phrases as the tokenizer normalizes text, in the order of their first spelling.

    Spellings that become equal are one phrase, with the sum of their counts and the probability of the most frequent
    one. A phrase that becomes a single word is dropped.
    """
    rows = list(rows)
    spellings: dict[str, list[PhraseRow]] = {}
    for row, phrase in zip(rows, normalize_phrases([row.phrase for row in rows], normalizer), strict=True):
        if " " in phrase:
            spellings.setdefault(phrase, []).append(row)
    merged = []
    for phrase, same in spellings.items():
        most_frequent = max(same, key=lambda row: row.count)
        count = sum(row.count for row in same)
        merged.append(PhraseRow(phrase, count, most_frequent.log10_conditional_probability))
    return merged


def phrases_content(rows: Iterable[PhraseRow]) -> bytes:
    """Returns the contents of `phrases.tsv`."""
    return "".join(f"{row.phrase}\t{row.count}\t{row.log10_conditional_probability:.4f}\n" for row in rows).encode()


def keep_phrases(content: bytes, phrases: Container[str]) -> bytes:
    """Removes all other phrases from the contents of `phrases.tsv`."""
    lines = content.decode().splitlines(keepends=True)
    return "".join(line for line in lines if line.split("\t")[0] in phrases).encode()
