"""Finds the phrases of a corpus: frequent n-grams whose last word depends on the words before it (§4.1).

KenLM counts the n-grams (`count_ngrams`) and estimates P(last word | words before) (`lmplz`), with one model per phrase
length: in a Kneser-Ney model only n-grams of the highest order have probabilities based on their counts. Those of lower
orders are based on the number of contexts, which makes P(states | united) 0.18 instead of 0.66.
"""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field

import kenlm
import numpy as np
from tqdm import tqdm

from ambert_tf.corpus.documents import plan_units, read_unit, split_documents
from ambert_tf.corpus.sources import source_size
from ambert_tf.errors import InputError
from ambert_tf.files import atomic_path
from ambert_tf.tokenization.phrases import PhraseRow, phrases_content
from ambert_tf.vocabulary.kenlm_programs import (
    NUM_SPECIAL_WORDS,
    KenlmPrograms,
    NgramCounts,
    read_vocabulary,
)
from ambert_tf.vocabulary.segments import segment_cutter
from ambert_tf.vocabulary.vocabulary_settings import PhraseSettings

_BLOCK_SENTENCES = 512


@dataclass
class OrderReport:
    """Number of n-grams of one length, and how many are left after each further condition."""

    order: int
    distinct: int = 0
    frequent: int = 0
    probable: int = 0
    dependent: int = 0


@dataclass
class PhraseReport:
    """Statistics of the corpus and its phrases.

    Attributes:
      words: number of words in the corpus, which consist of letters and digits.
      distinct_words: number of distinct words.
      orders: statistics for each phrase length.
      phrases: the phrases written, most frequent first.
      lines_replaced: number of lines that were not UTF-8.
    """

    words: int = 0
    distinct_words: int = 0
    orders: list[OrderReport] = field(default_factory=list)
    phrases: list[PhraseRow] = field(default_factory=list)
    lines_replaced: int = 0

    def lines(self, settings: PhraseSettings, most: int = 50) -> list[str]:
        """Returns the report as lines of text, with the `most` most frequent phrases."""
        lines = [f"{self.words:,} words, {self.distinct_words:,} of them distinct"]
        if self.lines_replaced:
            lines.append(f"{self.lines_replaced:,} lines were not UTF-8")
        lines.append("n-grams of    distinct     frequent     probable    dependent")
        lines += [
            f"{row.order} words  {row.distinct:>13,}{row.frequent:>13,}{row.probable:>13,}{row.dependent:>13,}"
            for row in self.orders
        ]
        lines.append(
            f"frequent: {settings.min_count} times or more; probable: P(last word | words before) >= "
            f"{settings.min_conditional_prob:g}; dependent: that is >= {settings.min_lift:g} P(last word)"
        )
        shown = self.phrases[:most]
        lines.append(f"{len(self.phrases):,} phrases; the {len(shown)} most frequent:")
        lines += [f"{row.count:>9,}  {10**row.log10_conditional_probability:.3f}  {row.phrase}" for row in shown]
        return lines


def run_build_phrase_dictionary(settings: PhraseSettings) -> None:
    """Finds the phrases and prints how many each threshold leaves."""
    print("\n".join(build_phrases(settings).lines(settings)))


def build_phrases(settings: PhraseSettings) -> PhraseReport:
    """Writes the phrase file `settings.output_file`: phrases by descending count, ties in code point order.

    Raises:
      InputError: a flag or an input file is wrong, a program is missing or fails, or no phrase is left.
    """
    settings.validate()
    files = settings.source_names()
    report = PhraseReport()
    with (
        atomic_path(settings.output_file) as path,
        # Opened first, so that an unwritable file is found before the work.
        open(path, "wb") as output,
        _temporary_directory(settings.temp_dir) as directory,
    ):
        programs = KenlmPrograms.find(settings.lmplz, settings.count_ngrams, settings.memory, directory)
        text = os.path.join(directory, "segments.txt")
        _write_segments(files, settings, text, report)
        rows = _find_phrases(programs, settings, text, directory, report)
        if not rows:
            raise InputError(_no_phrase(settings, report))
        report.phrases = sorted(rows, key=lambda row: (-row.count, row.phrase))[: settings.max_phrases]
        output.write(phrases_content(report.phrases))
    return report


def _temporary_directory(parent: str | None) -> tempfile.TemporaryDirectory:
    if parent is not None and not (os.path.isdir(parent) and os.access(parent, os.W_OK)):
        raise InputError(f"--temp_dir={parent}: not a writable directory")
    return tempfile.TemporaryDirectory(prefix="phrases-", dir=parent)


def _write_segments(files: list[str], settings: PhraseSettings, path: str, report: PhraseReport) -> None:
    total = sum(map(source_size, files))

    def blocks() -> Iterator[list[bytes]]:
        with tqdm(total=total, desc="Normalising", unit="B", unit_scale=True, disable=None) as progress:
            for unit in plan_units(files):
                documents = split_documents(read_unit(unit), settings.errors)
                report.lines_replaced += documents.lines_replaced
                for first in range(0, len(documents.sentences), _BLOCK_SENTENCES):
                    yield documents.sentences[first : first + _BLOCK_SENTENCES]
                progress.update(unit.size_bytes)

    cutter = segment_cutter(settings.do_lower_case, settings.normalization == "nfkc")
    with open(path, "wb") as file:
        for lines in cutter(blocks()):
            file.write(lines)
    if not os.path.getsize(path):
        raise InputError(f"{settings.corpus_flag}: contains no words")


def _find_phrases(
    programs: KenlmPrograms, settings: PhraseSettings, text: str, directory: str, report: PhraseReport
) -> list[PhraseRow]:
    vocabulary_file, arpa = os.path.join(directory, "words"), os.path.join(directory, "model.arpa")
    lengths = [NgramSelection(order, settings.min_count) for order in range(2, settings.max_order + 1)]
    word_counts = np.zeros(0, np.int64)
    for ngrams in programs.counts(text, settings.max_order, vocabulary_file):
        word_counts = _add(word_counts, np.bincount(ngrams.words[:, -1], ngrams.counts).astype(np.int64))
        for selection in lengths:
            selection.add(ngrams)
    vocabulary = read_vocabulary(vocabulary_file)
    report.words, report.distinct_words = (
        int(word_counts[NUM_SPECIAL_WORDS:].sum()),
        len(vocabulary) - NUM_SPECIAL_WORDS,
    )
    phrases: list[PhraseRow] = []
    for selection in lengths:
        ngrams = selection.finish()
        row = OrderReport(selection.order, selection.distinct, len(ngrams.counts))
        report.orders.append(row)
        if row.frequent:
            programs.estimate(text, selection.order, settings.min_count, arpa)
            phrases += _depending(ngrams, vocabulary, word_counts / report.words, arpa, settings, row)
    return phrases


def _add(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns the sum of two arrays of counts, of which one may be shorter."""
    longer, shorter = (left, right) if len(left) >= len(right) else (right, left)
    longer = longer.copy()
    longer[: len(shorter)] += shorter
    return longer


class NgramSelection:
    """Finds the frequent n-grams of `order` words in the counts of longer n-grams that end with them.

    Args:
      order: number of words; at most that of the counted n-grams.
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
        # The last n-gram may continue in the next counts.
        self._keep(words[:-1], counts[:-1])
        self._last = NgramCounts(words[-1:], counts[-1:])

    def finish(self) -> NgramCounts:
        """Returns the frequent n-grams; call it after the last `add`."""
        self._keep(*self._last)
        return NgramCounts(*(np.concatenate(parts) for parts in zip(*self._kept, strict=True)))

    def _keep(self, words: np.ndarray, counts: np.ndarray) -> None:
        within_segment = (words >= NUM_SPECIAL_WORDS).all(axis=1)
        self.distinct += int(within_segment.sum())
        frequent = within_segment & (counts >= self._min_count)
        self._kept.append(NgramCounts(words[frequent], counts[frequent]))


def _depending(
    ngrams: NgramCounts,
    vocabulary: list[str],
    word_probabilities: np.ndarray,
    arpa: str,
    settings: PhraseSettings,
    row: OrderReport,
) -> Iterator[PhraseRow]:
    """Yields the n-grams whose last word depends on the words before it; counts them in `row`."""
    config = kenlm.Config()
    config.show_progress = False
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    model = kenlm.Model(arpa, config)
    os.remove(arpa)
    state, following = kenlm.State(), kenlm.State()
    for numbers, count in zip(ngrams.words.tolist(), ngrams.counts.tolist(), strict=True):
        words = [vocabulary[number] for number in numbers]
        log10_probability = 0.0
        model.NullContextWrite(state)
        for word in words:
            log10_probability = model.BaseScore(state, word, following)
            state, following = following, state
        probability = 10**log10_probability
        if probability >= settings.min_conditional_prob:
            row.probable += 1
            if probability >= settings.min_lift * word_probabilities[numbers[-1]]:
                row.dependent += 1
                yield PhraseRow(" ".join(words), count, log10_probability)


def _no_phrase(settings: PhraseSettings, report: PhraseReport) -> str:
    distinct, frequent, probable = (
        sum(getattr(row, name) for row in report.orders) for name in ("distinct", "frequent", "probable")
    )
    if not frequent:
        return (
            f"--min_count={settings.min_count}: none of the corpus' {distinct:,} n-grams is so frequent; "
            "give a smaller count or a larger corpus"
        )
    if not probable:
        return (
            f"--min_conditional_prob={settings.min_conditional_prob:g}: none of the {frequent:,} frequent n-grams has "
            "a last word that probable after the others; give a smaller probability"
        )
    return (
        f"--min_lift={settings.min_lift:g}: none of the {probable:,} frequent and probable n-grams has a last word "
        "that depends that much on the others; give a smaller number"
    )
