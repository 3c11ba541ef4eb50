"""Makes a tokenizer directory from a corpus: fine vocabulary, words or phrases by their counts, segmenter."""

import collections
import concurrent.futures
import heapq
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from tensorflow_text.tools.wordpiece_vocab import wordpiece_tokenizer_learner_lib as wordpiece_learner
from tqdm import tqdm

from ambert_tf.corpus.documents import Unit, plan_units, read_unit, split_documents
from ambert_tf.corpus.sources import CorpusOptions, source_size
from ambert_tf.errors import InputError
from ambert_tf.tokenization import characters, segmenter, vocab_file
from ambert_tf.tokenization.normalizer import Normalizer, find_words
from ambert_tf.tokenization.phrases import phrases_content, read_phrases
from ambert_tf.tokenization.tokenizer import LANGUAGE_FILES, NORMALIZATIONS, TOKENIZER_FILES, MultiGrainedTokenizer

# §4.1 of the paper: 21,128 characters and 72,635 words in Chinese, 30,522 words and 77,645 phrases in English.
FINE_VOCAB_SIZES = {"zh": 21128, "en": 30522}
NUM_COARSE_ENTRIES = {"zh": 72635, "en": 77645}

# Of a learnt vocabulary, at most this share for characters that are words of their own; the rarest are left to [UNK].
_MAX_SHARE_ALONE = 0.85

_UNIT_BYTES = 1 << 18
# The table of word counts forgets the rarest words when it has grown beyond this, so that memory stays bounded.
_MAX_COUNTED_WORDS = 5_000_000


@dataclass(frozen=True, kw_only=True)
class VocabularyOptions(CorpusOptions):
    """The flags of `data/build_vocab.py`, under their names."""

    language: str
    output_dir: str
    fine_vocab_file: str | None = None
    fine_vocab_size: int | None = None
    coarse_vocab_size: int | None = None
    phrases_file: str | None = None
    user_dict: str | None = None
    do_lower_case: bool = True
    normalization: str = "bert"
    min_count: int = 2
    errors: str = "strict"


@dataclass
class VocabularyReport:
    """What the corpus looks like to its new tokenizer.

    Attributes:
      fine_vocab_size, coarse_vocab_size: tokens; the coarse ones include the fine ones.
      fine_tokens, coarse_tokens: of the corpus.
      unknown: share of the fine tokens that are [UNK].
      multiple: share of the coarse tokens that hold more than one fine token (the paper's Table 9).
      coverage: share of the text inside the chosen words or phrases, of the text inside all that the
        dictionary finds, counted in fine tokens.
      lines_replaced: lines that were not UTF-8.
      user_words_left_out: words of the user's dictionary that do not consist of Chinese characters alone.
    """

    fine_vocab_size: int
    coarse_vocab_size: int
    fine_tokens: int
    coarse_tokens: int
    unknown: float
    multiple: float
    coverage: float
    lines_replaced: int = 0
    user_words_left_out: int = 0

    def lines(self) -> list[str]:
        """The report for people."""
        entries = self.coarse_vocab_size - self.fine_vocab_size
        lines = [
            f"fine vocabulary    {self.fine_vocab_size:>11,}",
            f"coarse vocabulary  {self.coarse_vocab_size:>11,}   of which {entries:,} are words or phrases",
            f"fine tokens        {self.fine_tokens:>11,}   of which {self.unknown:.3%} are unknown",
            f"coarse tokens      {self.coarse_tokens:>11,}   of which {self.multiple:.1%} hold several fine tokens",
            f"coverage           {self.coverage:>11.1%}   of the text inside the dictionary's words or phrases",
        ]
        if self.lines_replaced:
            lines.append(f"{self.lines_replaced:,} lines were not UTF-8")
        if self.user_words_left_out:
            lines.append(
                f"{self.user_words_left_out:,} words of the user's dictionary are left out: they do not consist of "
                "Chinese characters alone"
            )
        return lines


class _Counts:
    """Token counts of a corpus: int64 [fine_vocab_size] and [coarse_vocab_size]; and its lines that were not UTF-8."""

    def __init__(self, tokenizer: MultiGrainedTokenizer):
        self.fine = np.zeros(tokenizer.fine_vocab_size, np.int64)
        self.coarse = np.zeros(tokenizer.coarse_vocab_size, np.int64)
        self.lines_replaced = 0


def build_tokenizer(options: VocabularyOptions) -> VocabularyReport:
    """Makes the tokenizer directory `options.output_dir`.

    A learnt fine vocabulary comes from TensorFlow Text's WordPiece learner. The coarse entries are the words
    or phrases that the segmentation of the corpus uses most; of equally frequent ones the earlier in the
    order of their characters.

    Raises:
      InputError: bad flags or files.
    """
    files = _check(options)
    word_counts: dict[str, int] = {}
    if options.fine_vocab_file is None or options.language == "zh":
        word_counts = count_words(files, options.do_lower_case, options.normalization, options.errors)
        if not word_counts:
            raise InputError(f"{options.corpus_flag}: holds no words")
    if options.fine_vocab_file is not None:
        fine_vocab = vocab_file.read_vocabulary(options.fine_vocab_file, "fine_vocab_file")
    else:
        fine_vocab = learn_fine_vocabulary(word_counts, options.fine_vocab_size or FINE_VOCAB_SIZES[options.language])
    limit = options.coarse_vocab_size or len(fine_vocab) + NUM_COARSE_ENTRIES[options.language]
    if limit < len(fine_vocab):
        raise InputError(
            f"--coarse_vocab_size={limit}: is under the {len(fine_vocab)} tokens of the fine vocabulary, "
            "with which the coarse one begins"
        )
    candidates, language_file = _candidates(options, set(fine_vocab), word_counts)

    def tokenizer_with(entries: list[str], language_file: bytes) -> MultiGrainedTokenizer:
        return MultiGrainedTokenizer(
            language=options.language,
            fine_vocab=fine_vocab,
            coarse_vocab=fine_vocab + entries,
            language_file=language_file,
            do_lower_case=options.do_lower_case,
            normalization=options.normalization,
            directory=options.output_dir,
        )

    tokenizer = tokenizer_with(candidates, language_file)
    counts = count_tokens(files, tokenizer, options.errors)
    uses = counts.coarse[len(fine_vocab) :]
    chosen = _most_used(uses, limit - len(fine_vocab), options.min_count)
    report = _report(tokenizer, candidates, counts, chosen)
    if options.user_dict:
        report.user_words_left_out = sum(
            not segmenter.is_chinese(word) for word in segmenter.read_jieba_frequencies(options.user_dict)
        )
    entries = [candidates[index] for index in chosen]
    if options.language == "en":
        kept = set(entries)
        language_file = phrases_content(row for row in read_phrases(options.phrases_file or "") if row.phrase in kept)
    tokenizer_with(entries, language_file).save(options.output_dir)
    return report


def _check(options: VocabularyOptions) -> list[str]:
    if options.language not in LANGUAGE_FILES:
        raise InputError(f"--language={options.language}: must be one of {', '.join(LANGUAGE_FILES)}")
    if options.normalization not in NORMALIZATIONS:
        raise InputError(f"--normalization={options.normalization}: must be one of {', '.join(NORMALIZATIONS)}")
    if options.fine_vocab_file and options.fine_vocab_size:
        raise InputError("--fine_vocab_size: sets the size of a learnt vocabulary; leave it out with --fine_vocab_file")
    if options.language == "en" and not options.phrases_file:
        raise InputError("--phrases_file: is needed for --language=en; data/build_phrase_dictionary.py makes it")
    if options.language == "zh" and options.phrases_file:
        raise InputError(
            "--phrases_file: is for --language=en; Chinese words come from jieba's dictionary and --user_dict"
        )
    if options.language == "en" and options.user_dict:
        raise InputError("--user_dict: is for --language=zh; English phrases come from --phrases_file")
    _check_output(options)
    return options.source_names()


def _check_output(options: VocabularyOptions) -> None:
    """Raises an InputError where the directory cannot be written, or holds more than a tokenizer that is replaced."""
    directory = os.path.abspath(options.output_dir)
    if os.path.isfile(directory):
        raise InputError(f"--output_dir={options.output_dir}: is a file where a directory is needed")
    others = set(os.listdir(directory)) - TOKENIZER_FILES if os.path.isdir(directory) else set()
    if others:
        raise InputError(
            f"--output_dir={options.output_dir}: holds {min(others)}, which is no part of a tokenizer; name a "
            "directory of its own"
        )
    # The parents are made when there is something to write.
    parent = os.path.dirname(directory)
    while not os.path.exists(parent):
        parent = os.path.dirname(parent)
    if not os.access(parent, os.W_OK):
        raise InputError(f"--output_dir={options.output_dir}: {parent} cannot be written")


def _candidates(options: VocabularyOptions, fine: set[str], word_counts: dict[str, int]) -> tuple[list[str], bytes]:
    """The words or phrases to choose from, sorted, and the file that finds them."""
    if options.language == "en":
        rows = list(read_phrases(options.phrases_file or ""))
        return sorted({row.phrase for row in rows}), phrases_content(rows)
    user_counts = segmenter.read_jieba_frequencies(options.user_dict) if options.user_dict else None
    model = segmenter.build_segmenter(segmenter.read_jieba_frequencies(), user_counts)
    words = {piece for piece in segmenter.pieces_of(model, "jieba's dictionary") if len(piece) > 1}
    words.discard(segmenter.UNKNOWN_PIECE)
    # Words of letters or digits that WordPiece would cut, such as numbers in full width.
    words |= {word for word, count in word_counts.items() if len(word) > 1 and count >= options.min_count}
    return sorted(words - fine), model


def _most_used(uses: np.ndarray, limit: int, min_count: int) -> list[int]:
    """The indices of the `limit` most used entries, by falling count, equal ones in order."""
    order = np.argsort(-uses, kind="stable")[:limit]
    return [int(index) for index in order if uses[index] >= min_count]


def _report(
    tokenizer: MultiGrainedTokenizer, candidates: list[str], counts: _Counts, chosen: Sequence[int]
) -> VocabularyReport:
    uses = counts.coarse[tokenizer.fine_vocab_size :]
    used = np.flatnonzero(uses)
    fine_tokens = np.zeros(len(candidates), np.int64)
    for part in np.array_split(used, len(used) // 4096 + 1):
        texts = tf.constant([candidates[index] for index in part], tf.string)
        fine_tokens[part] = tokenizer(texts).fine_ids.row_lengths()
    is_chosen = np.zeros(len(candidates), bool)
    is_chosen[list(chosen)] = True
    # A word or phrase that is not chosen falls back to its fine tokens.
    coarse_total = int(
        counts.coarse[: tokenizer.fine_vocab_size].sum() + np.where(is_chosen, uses, uses * fine_tokens).sum()
    )
    fine_total = int(counts.fine.sum())
    return VocabularyReport(
        fine_vocab_size=tokenizer.fine_vocab_size,
        coarse_vocab_size=tokenizer.fine_vocab_size + len(chosen),
        fine_tokens=fine_total,
        coarse_tokens=coarse_total,
        unknown=float(counts.fine[tokenizer.unk_id]) / max(fine_total, 1),
        multiple=float(uses[is_chosen & (fine_tokens > 1)].sum()) / max(coarse_total, 1),
        coverage=float((uses * fine_tokens)[is_chosen].sum()) / max(float((uses * fine_tokens).sum()), 1.0),
        lines_replaced=counts.lines_replaced,
    )


def count_words(
    files: list[str], do_lower_case: bool = True, normalization: str = "bert", errors: str = "strict"
) -> dict[str, int]:
    """Counts the words of a corpus, in BERT's sense of a word.

    Args:
      files: text files, `.gz` too.
      do_lower_case, normalization: as for the tokenizer.
      errors: "strict" or "replace", for lines that are not UTF-8.

    Returns:
      Words by falling count, equal ones in the order of their characters.
    """
    normalizer = Normalizer(do_lower_case, normalization == "nfkc")

    def unique_words(lines: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        words = find_words(normalizer(lines))
        rows = tf.RaggedTensor.from_row_lengths(words.codes, words.lengths, validate=False)
        unique, _, counts = tf.unique_with_counts(tf.strings.unicode_encode(rows, "UTF-8"))
        return unique, counts

    counter: collections.Counter[bytes] = collections.Counter()
    for (words, counts), _ in _over_corpus(unique_words, files, errors, "Counting words"):
        for word, count in zip(words.tolist(), counts.tolist(), strict=True):
            counter[word] += count
        if len(counter) > _MAX_COUNTED_WORDS:
            kept = heapq.nlargest(_MAX_COUNTED_WORDS // 2, counter.items(), key=lambda item: (item[1], item[0]))
            counter = collections.Counter(dict(kept))
    return {word.decode(): count for word, count in sorted(counter.items(), key=lambda item: (-item[1], item[0]))}


def count_tokens(files: list[str], tokenizer: MultiGrainedTokenizer, errors: str = "strict") -> _Counts:
    """Counts the tokens of both grains in a corpus."""

    def count(lines: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        tokens = tokenizer(lines)
        return tokens.fine_ids.flat_values, tokens.coarse_ids.flat_values

    counts = _Counts(tokenizer)
    for (fine, coarse), lines_replaced in _over_corpus(count, files, errors, "Counting tokens"):
        counts.lines_replaced += lines_replaced
        counts.fine += np.bincount(fine, minlength=tokenizer.fine_vocab_size)
        counts.coarse += np.bincount(coarse, minlength=tokenizer.coarse_vocab_size)
    return counts


def learn_fine_vocabulary(word_counts: dict[str, int], size: int) -> list[str]:
    """Learns BERT's fine vocabulary: special tokens, characters that are words of their own, pieces of words.

    Args:
      word_counts: words with their counts, the most frequent first.
      size: tokens at most; a small corpus gives fewer.

    Raises:
      InputError: `size` does not hold the special tokens.
    """
    special = [vocab_file.PAD, *(token for token in vocab_file.SPECIAL_TOKENS if token != vocab_file.PAD)]
    if size <= len(special):
        raise InputError(f"--fine_vocab_size={size}: holds no more than the {len(special)} special tokens")
    # Chinese characters and punctuation never go on with a word; the learner would give each a "##" form too.
    alone = [word for word in word_counts if len(word) == 1 and characters.kind_of(word) != characters.LETTER]
    words = {word: count for word, count in word_counts.items() if word not in set(alone)}
    alone = alone[: int((size - len(special)) * (_MAX_SHARE_ALONE if words else 1))]
    learnt = _learn_pieces(words, size - len(alone), special) if words else []
    pieces = [piece for piece in learnt if piece not in special and piece != vocab_file.WORDPIECE_PREFIX]
    return special + alone + pieces[: size - len(special) - len(alone)]


def _learn_pieces(words: dict[str, int], size: int, special: list[str]) -> list[str]:
    """Learns at most `size` tokens, `special` included, from words of letters."""
    counts = sorted(words.values(), reverse=True)
    # The learner searches for the least count that makes a piece. Every frequent word is a piece, so it is at
    # least the count of the word of that rank; wider bounds cost a pass over the words for each doubling.
    lowest = max(counts[min(size, len(counts)) - 1], 2)
    learnt = wordpiece_learner.learn(
        words,
        vocab_size=size,
        reserved_tokens=special,
        lower_thresh=lowest,
        upper_thresh=64 * lowest,
        max_unique_chars=max((size - len(special)) // 2, 1),
    )
    # Pieces of one letter first, they make every word of theirs known; then by count.
    order = {word: rank for rank, word in enumerate(words)}

    def rank(piece: str) -> tuple[int, int]:
        letters = piece.removeprefix(vocab_file.WORDPIECE_PREFIX)
        return (min(len(letters), 2), order.get(piece, 0))

    return sorted(learnt, key=rank)


def _over_corpus(
    function: Callable[[tf.Tensor], tuple[tf.Tensor, ...]], files: list[str], errors: str, title: str
) -> Iterator[tuple[tuple[np.ndarray, ...], int]]:
    """Yields what a graph function of sentences, string [batch], returns over a corpus, in order, and lines replaced.

    A thread a core runs it. A `tf.data` pipeline would do the same, but hide an `InputError` of the reader.
    """
    graph = tf.function(function, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)

    def run(unit: Unit) -> tuple[tuple[np.ndarray, ...], int]:
        documents = split_documents(read_unit(unit, _UNIT_BYTES), errors)
        found = graph(tf.constant(documents.sentences, tf.string))
        return tuple(value.numpy() for value in found), documents.lines_replaced

    threads = os.cpu_count() or 1
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
