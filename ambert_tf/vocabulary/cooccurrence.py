"""Initial token embeddings from co-occurrence counts, as in Levy and Goldberg (2014).

Word2vec implicitly factorizes the pointwise mutual information (PMI) of words and their contexts. Here, the positive
PMI is factorized explicitly, by a truncated singular value decomposition, for the tokens of both grains at once. Fine
and coarse tokens have coarse contexts in common, which puts them into the same space, as the shared Transformer
requires.

The file (.npz) contains `fine_embeddings` and `coarse_embeddings`, float32 [vocab, embedding_size]; `fine_counts` and
`coarse_counts`, int64 [vocab]; and `tokenizer_fingerprint`. Rows of tokens without co-occurrences are zero.
"""

from collections.abc import Iterator

import numpy as np
import scipy.sparse
import tensorflow as tf
from scipy.sparse.linalg import svds

from ambert_tf.errors import InputError
from ambert_tf.outputs import atomic_path
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.vocabulary.cooccurrence_settings import CooccurrenceSettings
from ambert_tf.vocabulary.corpus_counts import over_corpus

# Counts are added up after this many pairs, and single co-occurrences are dropped beyond this many cells.
_BATCH_PAIRS = 20_000_000
_MAX_CELLS = 60_000_000
_MIN_CELL_COUNT = 2
# Exponent of the context distribution (Levy, Goldberg and Dagan, 2015), against the bias of PMI towards rare contexts.
_CONTEXT_SMOOTHING = 0.75

Pairs = list[np.ndarray]


def run_build_embeddings(settings: CooccurrenceSettings) -> None:
    """Computes the embeddings, writes them, and prints how many tokens have them.

    Raises:
      InputError: a flag or a file is invalid, or the corpus is too small for the embedding size.
    """
    settings.validate()
    tokenizer = MultiGrainedTokenizer.load(settings.tokenizer_dir)
    sources = settings.source_names([settings.output_file])
    cells, counts = count_cooccurrences(sources, tokenizer, settings.window_size, settings.errors)
    matrix = positive_pmi(cells)
    known = np.flatnonzero(np.diff(matrix.indptr))
    if len(known) <= settings.embedding_size:
        raise InputError(
            f"{settings.corpus_flag}: only {len(known)} tokens co-occur with others, too few for "
            f"--embedding_size={settings.embedding_size}"
        )
    embeddings = np.zeros((matrix.shape[0], settings.embedding_size), np.float32)
    embeddings[known] = factorize(matrix, settings.embedding_size, settings.random_seed)[known]
    fine = tokenizer.fine_vocab_size
    with atomic_path(settings.output_file) as temporary:
        np.savez(
            temporary,
            fine_embeddings=embeddings[:fine],
            coarse_embeddings=embeddings[fine:],
            fine_counts=counts[:fine],
            coarse_counts=counts[fine:],
            tokenizer_fingerprint=tokenizer.fingerprint,
        )
    for grain, first, size in (("fine", 0, fine), ("coarse", fine, tokenizer.coarse_vocab_size)):
        having = int(((known >= first) & (known < first + size)).sum())
        print(f"{grain + ' embeddings':<20}{having:>11,}   of {size:,} tokens")
    print(f"{'text':<20}{int(counts[:fine].sum()):>11,}   fine tokens, {int(counts[fine:].sum()):,} coarse tokens")


def count_cooccurrences(
    files: list[str], tokenizer: MultiGrainedTokenizer, window_size: int, errors: str = "strict"
) -> tuple[scipy.sparse.csr_matrix, np.ndarray]:
    """Counts how often tokens are near each other in the sentences of a corpus.

    Args:
      files: names of the sources.
      tokenizer: the tokenizer of both grains.
      window_size: fine tokens have the `2 * window_size` fine tokens and the `window_size` coarse tokens on each side
        as contexts, and coarse tokens the `window_size` coarse ones.
      errors: "strict" or "replace", for lines that are not UTF-8.

    Returns:
      The counts of co-occurrences, float32 [tokens, tokens], fine tokens first, and those of tokens, int64 [tokens].
    """
    fine_size = tokenizer.fine_vocab_size
    size = fine_size + tokenizer.coarse_vocab_size
    cells = scipy.sparse.csr_matrix((size, size), dtype=np.float32)
    counts = np.zeros(size, np.int64)
    rows: Pairs = []
    columns: Pairs = []

    def tokenize(lines: tf.Tensor) -> tuple[tf.Tensor, ...]:
        tokens = tokenizer(lines)
        parts = (tokens.fine_ids, tokens.coarse_ids)
        splits = tuple(tf.cast(part.row_splits, tf.int64) for part in parts)
        return (parts[0].values, splits[0], parts[1].values, splits[1], tokens.fine_to_coarse.values)

    for (fine, fine_splits, coarse, coarse_splits, fine_to_coarse), _ in over_corpus(
        tokenize, files, errors, "Counting co-occurrences"
    ):
        coarse = coarse + fine_size
        counts += np.bincount(fine, minlength=size) + np.bincount(coarse, minlength=size)
        for one, other in (
            *_within(fine, fine_splits, 2 * window_size),
            *_within(coarse, coarse_splits, window_size),
            *_across(fine, fine_splits, coarse, coarse_splits, fine_to_coarse, window_size),
        ):
            rows.append(one)
            columns.append(other)
        if sum(map(len, rows)) > _BATCH_PAIRS:
            cells = _add(cells, rows, columns)
    return _add(cells, rows, columns), counts


def _within(ids: np.ndarray, splits: np.ndarray, window: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields pairs of tokens of the same sentence, at most `window` apart, in both orders."""
    sentence = np.repeat(np.arange(len(splits) - 1), np.diff(splits))
    for distance in range(1, window + 1):
        same = sentence[distance:] == sentence[:-distance]
        one, other = ids[:-distance][same], ids[distance:][same]
        yield one, other
        yield other, one


def _across(
    fine: np.ndarray,
    fine_splits: np.ndarray,
    coarse: np.ndarray,
    coarse_splits: np.ndarray,
    fine_to_coarse: np.ndarray,
    window: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields pairs of a fine token and a coarse one that is near the coarse token around it."""
    lengths = np.diff(fine_splits)
    place = fine_to_coarse + np.repeat(coarse_splits[:-1], lengths)
    first, end = (np.repeat(bound, lengths) for bound in (coarse_splits[:-1], coarse_splits[1:]))
    for distance in (*range(-window, 0), *range(1, window + 1)):
        inside = (place + distance >= first) & (place + distance < end)
        yield fine[inside], coarse[place[inside] + distance]


def _add(cells: scipy.sparse.csr_matrix, rows: Pairs, columns: Pairs) -> scipy.sparse.csr_matrix:
    """Adds pairs to the counts and clears the lists."""
    if rows:
        row, column = np.concatenate(rows), np.concatenate(columns)
        cells = cells + scipy.sparse.csr_matrix((np.ones(len(row), np.float32), (row, column)), shape=cells.shape)
        rows.clear()
        columns.clear()
    if cells.nnz > _MAX_CELLS:
        cells.data[cells.data < _MIN_CELL_COUNT] = 0
        cells.eliminate_zeros()
    return cells


def positive_pmi(cells: scipy.sparse.csr_matrix) -> scipy.sparse.csr_matrix:
    """Returns the positive pointwise mutual information of co-occurrence counts. Single ones count as none."""
    contexts = np.asarray(cells.sum(axis=0), np.float64).ravel() ** _CONTEXT_SMOOTHING
    contexts /= contexts.sum()
    totals = np.asarray(cells.sum(axis=1), np.float64).ravel()
    found = cells.tocoo()
    values = np.log(found.data / (totals[found.row] * contexts[found.col]))
    kept = (values > 0) & (found.data >= _MIN_CELL_COUNT)
    return scipy.sparse.csr_matrix((values[kept], (found.row[kept], found.col[kept])), shape=cells.shape)


def factorize(matrix: scipy.sparse.csr_matrix, size: int, seed: int) -> np.ndarray:
    """Returns `U * sqrt(S)` of the truncated singular value decomposition of a matrix, float32 [rows, size].

    Singular vectors are in descending order. Their signs, which are arbitrary, make the largest element positive.
    """
    start = np.random.default_rng(seed).normal(size=min(matrix.shape))
    vectors, values, _ = svds(matrix, k=size, v0=start)
    order = np.argsort(-values)
    vectors, values = vectors[:, order], values[order]
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(size)])
    return (vectors * signs * np.sqrt(values)).astype(np.float32)
