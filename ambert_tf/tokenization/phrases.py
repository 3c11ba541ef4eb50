"""English phrases: left-to-right longest match over the words of a text, in graph (§4.1 of the paper)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.files import check_input_file, open_input
from ambert_tf.tokenization import flat
from ambert_tf.tokenization.normalizer import INT, Characters, Words
from ambert_tf.tokenization.wordpiece import Pieces


class PhraseMatcher(tf.Module):
    """Finds the phrases of the coarse vocabulary in a text, from left to right, the longest first.

    The phrases form a trie; every word of a batch walks it at once, one step a word of the longest phrase.

    Args:
      entries: coarse id of each phrase, a phrase's words joined by one space.
    """

    def __init__(self, entries: dict[str, int]):
        super().__init__(name="phrase_matcher")
        phrases = [(phrase.split(" "), index) for phrase, index in entries.items()]
        self.max_words = max((len(phrase) for phrase, _ in phrases), default=1)
        words = sorted({word for phrase, _ in phrases for word in phrase})
        word_index = {word: index for index, word in enumerate(words)}
        self._num_words = max(len(words), 1)
        # The first nodes of the trie are the words themselves.
        accepts = [flat.NOT_FOUND] * len(words)
        edges: dict[int, int] = {}
        for phrase, index in phrases:
            node = word_index[phrase[0]]
            for word in phrase[1:]:
                key = node * self._num_words + word_index[word]
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
        """Finds the phrases of the coarse vocabulary; `text` is not needed, the segmenter needs it.

        Returns:
          coarse_ids: int32 [words]; the coarse id of the phrase that the word is part of, or -1.
          continues: bool [words]; whether the word goes on with the phrase of the word before.
        """
        size = tf.size(words.lengths)
        if self.max_words == 1:
            return tf.fill([size], flat.NOT_FOUND), tf.zeros([size], tf.bool)
        lengths, ids = self._longest_from_each(self._word_indices(words, pieces), words.splits)
        chosen = _walk(lengths, self.max_words)
        chosen_lengths = tf.gather(lengths, chosen)
        steps = range(1, self.max_words)
        inside = tf.concat([tf.boolean_mask(chosen + step, chosen_lengths > step) for step in steps], 0)
        continues = flat.marks(inside, size)
        # Every word belongs to the last one before it that does not go on with a phrase.
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

    def _longest_from_each(self, indices: tf.Tensor, splits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Length in words and coarse id of the longest phrase that begins at each word; 1 and -1 if none does."""
        size = tf.size(indices)
        lengths, ids = tf.ones_like(indices), tf.fill([size], flat.NOT_FOUND)
        # What may follow in a phrase: nothing behind the last word, and not the first one of another text.
        first_of_text = flat.marks(tf.boolean_mask(splits[:-1], splits[:-1] < size), size) > 0
        following = tf.where(first_of_text, flat.NOT_FOUND, indices)
        following = tf.pad(following, [[0, self.max_words]], constant_values=flat.NOT_FOUND)
        # Those whose walk goes on: where they began, and the node they are at.
        begins = flat.where(indices >= 0)
        nodes = tf.gather(indices, begins)
        for step in range(1, self.max_words):
            words = tf.gather(following, begins + step)
            known = flat.where(words >= 0)
            begins, nodes, words = (tf.gather(values, known) for values in (begins, nodes, words))
            nodes = self._edges.lookup(tf.cast(nodes, tf.int64) * self._num_words + tf.cast(words, tf.int64))
            known = flat.where(nodes >= 0)
            begins, nodes = tf.gather(begins, known), tf.gather(nodes, known)
            found = flat.put(begins, tf.gather(self._accepts, nodes), size, flat.NOT_FOUND)
            ids = tf.where(found >= 0, found, ids)
            lengths = tf.where(found >= 0, step + 1, lengths)
        return lengths, ids


def _walk(lengths: tf.Tensor, max_length: int) -> tf.Tensor:
    """Returns the phrases that a walk from left to right meets, which goes on behind each one that it meets.

    The walk certainly meets those that no other phrase reaches into. From these, jumps from phrase to phrase are
    doubled, so the number of rounds grows with the logarithm of the longest chain of overlapping phrases only.

    Args:
      lengths: int32 [words]; words of the phrase that begins here, 1 if none does.

    Returns:
      int32 [chosen]; where they begin.
    """
    is_phrase = lengths > 1
    phrases = flat.where(is_phrase)
    count = tf.size(phrases)
    reached_into = tf.zeros_like(is_phrase)
    for distance in range(1, max_length):
        reached_into |= tf.pad(lengths > distance, [[distance, 0]])[: tf.size(lengths)]
    certain = tf.logical_not(tf.gather(reached_into, phrases))
    # The next phrase that does not begin inside this one; one place behind the last takes the jumps that lead out.
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
    """A line of `phrases.tsv`: the phrase, its count in the corpus, log10 P(last word | words before)."""

    phrase: str
    count: int
    log10_conditional_probability: float


def read_phrases(path: str, flag: str = "phrases_file") -> Iterator[PhraseRow]:
    """Reads `phrases.tsv`.

    Raises:
      InputError: no such file; a line that is not UTF-8, has not three fields, an empty word, one word only,
        or a count or probability that is no number.
    """
    check_input_file(path, flag)
    with open_input(path) as file:
        for number, line in enumerate(file, 1):
            where = f"--{flag}: {path}, line {number}"
            try:
                fields = line.decode("utf-8").rstrip("\r\n").split("\t")
            except UnicodeDecodeError:
                raise InputError(f"{where}: not UTF-8") from None
            if len(fields) != 3:
                raise InputError(
                    f"{where}: has {len(fields)} fields; it needs phrase, count and log10 probability, tabs between"
                )
            words = fields[0].split(" ")
            if len(words) < 2 or not all(words) or any(word.strip() != word for word in words):
                raise InputError(f"{where}: {fields[0]!r} is not two or more words with one space between")
            try:
                yield PhraseRow(fields[0], int(fields[1]), float(fields[2]))
            except ValueError:
                raise InputError(f"{where}: count or probability is not a number") from None


def phrases_content(rows: Iterable[PhraseRow]) -> bytes:
    """Returns the content of `phrases.tsv`."""
    return "".join(f"{row.phrase}\t{row.count}\t{row.log10_conditional_probability:.4f}\n" for row in rows).encode()
