"""Counts the words of a corpus, and its tokens under a tokenizer."""

import collections
import concurrent.futures
import heapq
import itertools
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from ambert_tf.corpus.documents import Unit, plan_units, read_unit, split_documents, usable_cores
from ambert_tf.corpus.sources import source_size
from ambert_tf.tokenization.normalizer import Normalizer, find_words
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

_UNIT_BYTES = 1 << 18
# With more distinct words than this, the rarest are dropped to bound memory.
_MAX_COUNTED_WORDS = 5_000_000


class TokenCounts:
    """Token counts of a corpus.

    Attributes:
      fine, coarse: int64 [fine_vocab_size] and [coarse_vocab_size].
      lines_replaced: number of lines that were not UTF-8.
    """

    def __init__(self, tokenizer: MultiGrainedTokenizer):
        self.fine = np.zeros(tokenizer.fine_vocab_size, np.int64)
        self.coarse = np.zeros(tokenizer.coarse_vocab_size, np.int64)
        self.lines_replaced = 0


def count_words(
    files: list[str],
    do_lower_case: bool = True,
    normalization: str = "bert",
    errors: str = "strict",
    strip_accents: bool | None = None,
) -> dict[str, int]:
    """Counts the words of a corpus, as defined by BERT.

    Args:
      files: text files, plain or `.gz`.
      do_lower_case, normalization, strip_accents: see `MultiGrainedTokenizer`.
      errors: "strict" or "replace", for lines that are not UTF-8.

    Returns:
      Words by descending count. Ties are in code point order.
    """
    normalizer = Normalizer(do_lower_case, normalization == "nfkc", strip_accents)

    def unique_words(lines: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        words = find_words(normalizer(lines))
        rows = tf.RaggedTensor.from_row_lengths(words.codes, words.lengths, validate=False)
        unique, _, counts = tf.unique_with_counts(tf.strings.unicode_encode(rows, "UTF-8"))
        return unique, counts

    counter: collections.Counter[bytes] = collections.Counter()
    for (words, counts), _ in over_corpus(unique_words, files, errors, "Counting words"):
        for word, count in zip(words.tolist(), counts.tolist(), strict=True):
            counter[word] += count
        if len(counter) > _MAX_COUNTED_WORDS:
            kept = heapq.nlargest(_MAX_COUNTED_WORDS // 2, counter.items(), key=lambda item: (item[1], item[0]))
            counter = collections.Counter(dict(kept))
    return {word.decode(): count for word, count in sorted(counter.items(), key=lambda item: (-item[1], item[0]))}


def count_tokens(files: list[str], tokenizer: MultiGrainedTokenizer, errors: str = "strict") -> TokenCounts:
    """Counts the tokens of both grains in a corpus."""

    def count(lines: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        tokens = tokenizer(lines)
        return tokens.fine_ids.flat_values, tokens.coarse_ids.flat_values

    counts = TokenCounts(tokenizer)
    for (fine, coarse), lines_replaced in over_corpus(count, files, errors, "Counting tokens"):
        counts.lines_replaced += lines_replaced
        counts.fine += np.bincount(fine, minlength=tokenizer.fine_vocab_size)
        counts.coarse += np.bincount(coarse, minlength=tokenizer.coarse_vocab_size)
    return counts


def over_corpus(
    function: Callable[[tf.Tensor], tuple[tf.Tensor, ...]], files: list[str], errors: str, title: str
) -> Iterator[tuple[tuple[np.ndarray, ...], int]]:
    """Runs a graph function of sentences, string [batch], over a corpus.

    There is one thread per core. A `tf.data` pipeline would hide the reader's `InputError`.

    Yields:
      The function's results in order, with the number of lines replaced.
    """
    graph = tf.function(function, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)

    def run(unit: Unit) -> tuple[tuple[np.ndarray, ...], int]:
        documents = split_documents(read_unit(unit, _UNIT_BYTES), errors)
        found = graph(tf.constant(documents.sentences, tf.string))
        return tuple(value.numpy() for value in found), documents.lines_replaced

    threads = usable_cores()
    total = sum(map(source_size, files))
    with (
        concurrent.futures.ThreadPoolExecutor(threads) as pool,
        tqdm(total=total, desc=title, unit="B", unit_scale=True, disable=None) as progress,
    ):
        waiting: collections.deque[tuple[Unit, concurrent.futures.Future[tuple[tuple[np.ndarray, ...], int]]]]
        waiting = collections.deque()
        units = plan_units(files, _UNIT_BYTES)
        while True:
            for unit in itertools.islice(units, 2 * threads - len(waiting)):
                waiting.append((unit, pool.submit(run, unit)))
            if not waiting:
                return
            unit, result = waiting.popleft()
            yield result.result()
            progress.update(unit.size_bytes)
