"""Builds a tokenizer directory from a corpus: fine vocabulary, most frequent words or phrases, and segmenter."""

import os
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.files import is_directory, list_directory, real_path
from ambert_tf.outputs import check_replaceable
from ambert_tf.tokenization import segmenter, vocab_file
from ambert_tf.tokenization.normalizer import Normalizer, normalize_phrases
from ambert_tf.tokenization.phrases import keep_phrases, normalize_rows, phrases_content, read_phrases
from ambert_tf.tokenization.tokenizer import TOKENIZER_FILES, MultiGrainedTokenizer
from ambert_tf.vocabulary.corpus_counts import TokenCounts, count_tokens, count_words
from ambert_tf.vocabulary.fine_vocabulary import learn_fine_vocabulary
from ambert_tf.vocabulary.vocabulary_settings import VocabularySettings

# §4.1 of the paper: 21,128 characters and 72,635 words in Chinese, 30,522 words and 77,645 phrases in English.
FINE_VOCAB_SIZES = {"zh": 21128, "en": 30522}
NUM_COARSE_ENTRIES = {"zh": 72635, "en": 77645}
# Longer strings of letters and digits are hashes and addresses. As a coarse token, one could fill a whole sequence.
MAX_CHARACTERS_PER_ENTRY = 32


@dataclass
class VocabularyReport:
    """Statistics of the corpus under its new tokenizer.

    Those of coarse tokens are estimates: they are based on a segmentation with all candidates, in which each candidate
    outside the vocabulary is split on its own. The tokenizer may choose other words around it.

    Attributes:
      fine_vocab_size, coarse_vocab_size: vocabulary sizes. The coarse size includes the fine one.
      fine_tokens: number of fine tokens in the corpus.
      coarse_tokens: estimated number of coarse tokens in the corpus.
      unknown: fraction of the fine tokens that are [UNK].
      multiple: estimated fraction of the coarse tokens with more than one fine token (the paper's Table 9).
      coverage: estimate. Of the text in words or phrases found by the dictionary, the fraction that is in words or
        phrases of the vocabulary, counted in fine tokens.
      lines_replaced: number of lines that were not UTF-8.
    """

    fine_vocab_size: int
    coarse_vocab_size: int
    fine_tokens: int
    coarse_tokens: int
    unknown: float
    multiple: float
    coverage: float
    lines_replaced: int = 0

    def lines(self) -> list[str]:
        """Returns the report as lines of text."""
        entries = self.coarse_vocab_size - self.fine_vocab_size
        lines = [
            f"fine vocabulary    {self.fine_vocab_size:>11,}",
            f"coarse vocabulary  {self.coarse_vocab_size:>11,}   of which {entries:,} are words or phrases",
            f"fine tokens        {self.fine_tokens:>11,}   of which {self.unknown:.3%} are unknown",
            f"coarse tokens      {self.coarse_tokens:>11,}   of which {self.multiple:.1%} contain several fine tokens "
            "(estimate)",
            f"coverage           {self.coverage:>11.1%}   of the text in the dictionary's words or phrases (estimate)",
        ]
        if self.lines_replaced:
            lines.append(f"{self.lines_replaced:,} lines were not UTF-8")
        return lines


def run_build_vocab(settings: VocabularySettings) -> None:
    """Builds the tokenizer and prints its report."""
    print("\n".join(build_tokenizer(settings).lines()))


def build_tokenizer(settings: VocabularySettings) -> VocabularyReport:
    """Builds the tokenizer directory `settings.output_dir`.

    The coarse entries are the words or phrases that occur most often in the segmented corpus. Ties are broken by code
    point order.

    Raises:
      InputError: a flag or a file is invalid.
    """
    settings.validate()
    _check_output(settings)
    files = settings.source_names()
    word_counts: dict[str, int] = {}
    if settings.fine_vocab_file is None or settings.language == "zh":
        word_counts = count_words(
            files, settings.do_lower_case, settings.normalization, settings.errors, settings.strip_accents
        )
        if not word_counts:
            raise InputError(f"{settings.corpus_flag}: contains no words")
    if settings.fine_vocab_file is not None:
        fine_vocab = vocab_file.read_vocabulary(settings.fine_vocab_file, "fine_vocab_file")
    else:
        fine_vocab = learn_fine_vocabulary(word_counts, settings.fine_vocab_size or FINE_VOCAB_SIZES[settings.language])
    limit = settings.coarse_vocab_size or len(fine_vocab) + NUM_COARSE_ENTRIES[settings.language]
    if limit < len(fine_vocab):
        raise InputError(
            f"--coarse_vocab_size={limit}: must be at least {len(fine_vocab)}, the size of the fine "
            "vocabulary, which the coarse one includes"
        )
    candidates, language_file = _candidates(settings, set(fine_vocab), word_counts)

    def tokenizer_with(entries: list[str], language_file: bytes) -> MultiGrainedTokenizer:
        return MultiGrainedTokenizer(
            language=settings.language,
            fine_vocab=fine_vocab,
            coarse_vocab=fine_vocab + entries,
            language_file=language_file,
            do_lower_case=settings.do_lower_case,
            normalization=settings.normalization,
            strip_accents=settings.strip_accents,
            directory=settings.output_dir,
        )

    tokenizer = tokenizer_with(candidates, language_file)
    counts = count_tokens(files, tokenizer, settings.errors)
    uses = counts.coarse[len(fine_vocab) :]
    chosen = _most_used(uses, limit - len(fine_vocab), settings.min_count)
    entries = [candidates[index] for index in chosen]
    kept = set(entries)
    if settings.language == "en":
        language_file = keep_phrases(language_file, kept)
    else:
        language_file = segmenter.keep_words(language_file, kept)
    tokenizer = tokenizer_with(entries, language_file)
    report = _report(tokenizer, candidates, counts)
    tokenizer.save(settings.output_dir)
    return report


def _check_output(settings: VocabularySettings) -> None:
    """Raises an InputError if the directory cannot be written, or contains more than a tokenizer to replace."""
    check_replaceable(settings.output_dir, "output_dir")
    names = list_directory(settings.output_dir) if is_directory(settings.output_dir) else []
    others = set(names) - TOKENIZER_FILES
    phrases = settings.phrases_file
    if phrases and real_path(os.path.dirname(phrases) or ".") == real_path(settings.output_dir):
        # The tokenizer's phrases.tsv has only those in the vocabulary.
        raise InputError(
            f"--output_dir={settings.output_dir}: would replace --phrases_file={phrases}; name another directory"
        )
    if others:
        raise InputError(
            f"--output_dir={settings.output_dir}: contains {min(others)}, which is not part of a tokenizer; name a new "
            "directory"
        )


def _candidates(settings: VocabularySettings, fine: set[str], word_counts: dict[str, int]) -> tuple[list[str], bytes]:
    """Returns the candidate words or phrases, sorted, and the contents of the segmenter or phrase file."""
    normalizer = Normalizer(settings.do_lower_case, settings.normalization == "nfkc", settings.strip_accents)
    if settings.language == "en":
        rows = normalize_rows(read_phrases(settings.phrases_file or ""), normalizer)
        return sorted(row.phrase for row in rows), phrases_content(rows)
    user_counts = segmenter.read_jieba_frequencies(settings.user_dict) if settings.user_dict else {}
    jieba_counts = segmenter.read_jieba_frequencies()
    model = segmenter.build_segmenter(jieba_counts, user_counts)
    words = {piece for piece in segmenter.pieces_of(model, "jieba's dictionary") if len(piece) > 1}
    words.discard(segmenter.UNKNOWN_PIECE)
    # Words of letters or digits that WordPiece would split, such as full-width numbers.
    words |= {
        word
        for word, count in word_counts.items()
        if 1 < len(word) <= MAX_CHARACTERS_PER_ENTRY and count >= settings.min_count
    }
    # The segmenter only handles Chinese words. The tokenizer itself finds words with other characters.
    words |= _words_with_letters(jieba_counts, user_counts, normalizer)
    return sorted(words - fine), model


def _words_with_letters(
    jieba_counts: dict[str, int | None], user_counts: dict[str, int | None], normalizer: Normalizer
) -> set[str]:
    """Returns the normalized words of both dictionaries that are not Chinese only. A user's count of 0 removes one."""
    counts: dict[str, int | None] = {}
    for dictionary in (jieba_counts, user_counts):
        others = [word for word in dictionary if not segmenter.is_chinese(word)]
        # jieba has both "c++" and "C++".
        normalized = normalize_phrases(others, normalizer)
        counts.update(zip(normalized, (dictionary[word] for word in others), strict=True))
    return {word for word, count in counts.items() if count != 0 and len(word) > 1}


def _most_used(uses: np.ndarray, limit: int, min_count: int) -> list[int]:
    """Returns the indices of the `limit` most used entries, in descending order. Ties keep their order."""
    order = np.argsort(-uses, kind="stable")[:limit]
    return [int(index) for index in order if uses[index] >= min_count]


def _report(tokenizer: MultiGrainedTokenizer, candidates: list[str], counts: TokenCounts) -> VocabularyReport:
    """Estimates the report of a tokenizer from the counts of a tokenizer whose entries are all candidates."""
    uses = counts.coarse[tokenizer.fine_vocab_size :]
    coarse_total = int(counts.coarse[: tokenizer.fine_vocab_size].sum())
    multiple = covered = found = 0
    used = np.flatnonzero(uses)
    for part in np.array_split(used, len(used) // 4096 + 1):
        # A candidate that is not an entry is split into shorter entries, or into its fine tokens.
        tokens = tokenizer.ids(tf.constant([candidates[index] for index in part], tf.string))
        uses_of_token = np.repeat(uses[part], tokens.coarse_ids.row_lengths())
        fine_counts = tokens.fine_counts.numpy()
        is_entry = tokens.coarse_ids.flat_values.numpy() >= tokenizer.fine_vocab_size
        coarse_total += int(uses_of_token.sum())
        multiple += int(uses_of_token[fine_counts > 1].sum())
        covered += int((uses_of_token * fine_counts)[is_entry].sum())
        found += int((uses_of_token * fine_counts).sum())
    fine_total = int(counts.fine.sum())
    return VocabularyReport(
        fine_vocab_size=tokenizer.fine_vocab_size,
        coarse_vocab_size=tokenizer.coarse_vocab_size,
        fine_tokens=fine_total,
        coarse_tokens=coarse_total,
        unknown=float(counts.fine[tokenizer.unk_id]) / max(fine_total, 1),
        multiple=multiple / max(coarse_total, 1),
        coverage=covered / max(found, 1),
        lines_replaced=counts.lines_replaced,
    )
