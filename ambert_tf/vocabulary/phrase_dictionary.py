"""Finds the phrases of a corpus: frequent n-grams whose last word depends on the preceding words (§4.1).

KenLM counts the n-grams (`count_ngrams`) and estimates P(last word | words before) (`lmplz`). There is one model per
phrase length, because in a Kneser-Ney model only the probabilities of the highest order are based on counts. Those of
lower orders are based on the number of contexts, which would make P(states | united) 0.18 instead of 0.66.
"""

import os
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import kenlm
import numpy as np
from tqdm import tqdm

from ambert_tf.corpus.documents import plan_units, read_unit, split_documents
from ambert_tf.corpus.sources import source_size
from ambert_tf.errors import InputError
from ambert_tf.outputs import atomic_path
from ambert_tf.tokenization.phrases import PhraseRow, phrases_content
from ambert_tf.vocabulary.kenlm_programs import (
    NUM_SPECIAL_WORDS,
    KenlmPrograms,
    NgramCounts,
    read_vocabulary,
)
from ambert_tf.vocabulary.ngrams import NgramSelection, NgramTable
from ambert_tf.vocabulary.segments import segment_cutter
from ambert_tf.vocabulary.vocabulary_settings import NPMI, PhraseSettings

_BLOCK_SENTENCES = 512


class PhraseCandidates(NamedTuple):
    """The frequent n-grams of one length with measures of association.

    Attributes:
      phrases: the n-grams as text.
      counts: int64 [ngrams].
      log10_conditional: log10 P(last word | words before), float64 [ngrams].
      lift: P(last word | words before) / P(last word).
      npmi: normalized pointwise mutual information of two parts, the minimum over all ways to split the n-gram. 0 for
        independent parts, 1 for parts that only occur together.
    """

    phrases: list[str]
    counts: np.ndarray
    log10_conditional: np.ndarray
    lift: np.ndarray
    npmi: np.ndarray


@dataclass
class PhraseReport:
    """Statistics of the corpus and its phrases.

    Attributes:
      words: number of words in the corpus, which consist of letters and digits.
      distinct_words: number of distinct words.
      orders: by phrase length, the number of distinct n-grams, and the number left after each condition.
      phrases: the written phrases, most frequent first.
      lines_replaced: number of lines that were not UTF-8.
    """

    words: int = 0
    distinct_words: int = 0
    orders: dict[int, dict[str, int]] = field(default_factory=dict)
    phrases: list[PhraseRow] = field(default_factory=list)
    lines_replaced: int = 0

    def lines(self, settings: PhraseSettings, most: int = 25) -> list[str]:
        """Returns the report as lines of text, with the `most` most frequent and as many random phrases."""
        lines = [f"{self.words:,} words, {self.distinct_words:,} of them distinct"]
        if self.lines_replaced:
            lines.append(f"{self.lines_replaced:,} lines were not UTF-8")
        conditions = conditions_of(settings)
        lines.append("n-grams of " + "".join(f"{name:>13}" for name in ("distinct", *conditions)))
        lines += [
            f"{order} words    " + "".join(f"{number:>13,}" for number in numbers.values())
            for order, numbers in self.orders.items()
        ]
        lines.append("; ".join(f"{name}: {condition.meaning}" for name, condition in conditions.items()))
        lines.append(f"{len(self.phrases):,} phrases; the most frequent:")
        lines += map(_line, self.phrases[:most])
        others = self.phrases[most:]
        if others:
            lines.append("and a random sample of the others:")
            chosen = random.Random(0).sample(range(len(others)), min(most, len(others)))
            lines += [_line(others[index]) for index in sorted(chosen)]
        return lines


def _line(row: PhraseRow) -> str:
    return f"{row.count:>9,}  {10**row.log10_conditional_probability:.3f}  {row.phrase}"


class Condition(NamedTuple):
    """A condition on phrases.

    Attributes:
      flag: the flag with its value.
      meaning: what it requires.
      holds: returns which candidates meet it.
    """

    flag: str
    meaning: str
    holds: Callable[[PhraseCandidates], np.ndarray]


def conditions_of(settings: PhraseSettings) -> dict[str, Condition]:
    """Returns the conditions on phrases by name, in order."""
    conditions = {
        "frequent": Condition(
            f"--min_count={settings.min_count}", f"count >= {settings.min_count}", lambda found: found.counts > 0
        )
    }
    if settings.phrase_score == NPMI:
        min_npmi = settings.effective_min_npmi
        conditions["cohesive"] = Condition(
            f"--min_npmi={min_npmi:g}", f"normalized PMI >= {min_npmi:g}", lambda found: found.npmi >= min_npmi
        )
    else:
        min_probability = settings.effective_min_conditional_prob
        conditions["probable"] = Condition(
            f"--min_conditional_prob={min_probability:g}",
            f"P(last word | words before) >= {min_probability:g}",
            lambda found: 10**found.log10_conditional >= min_probability,
        )
    min_lift = settings.effective_min_lift
    conditions["dependent"] = Condition(
        f"--min_lift={min_lift:g}",
        f"P(last word | words before) >= {min_lift:g} P(last word)",
        lambda found: found.lift >= min_lift,
    )
    return conditions


def run_build_phrase_dictionary(settings: PhraseSettings) -> None:
    """Finds the phrases and prints the number left by each threshold."""
    print("\n".join(build_phrases(settings).lines(settings)))


def build_phrases(settings: PhraseSettings) -> PhraseReport:
    """Writes the phrase file `settings.output_file`: phrases by descending count, ties in code point order.

    Raises:
      InputError: a flag or an input file is invalid, a program is missing or fails, or no phrases are left.
    """
    settings.validate()
    settings.source_names([settings.output_file])  # before the output is opened
    report = PhraseReport()
    conditions = conditions_of(settings)
    rows: list[PhraseRow] = []
    with atomic_path(settings.output_file) as path, open(path, "wb") as output:  # opened first, to fail early
        for order, found in phrase_candidates(settings, report).items():
            held = np.ones(len(found.counts), bool)
            for name, condition in conditions.items():
                held &= condition.holds(found)
                report.orders[order][name] = int(held.sum())
            rows += [
                PhraseRow(found.phrases[index], int(found.counts[index]), float(found.log10_conditional[index]))
                for index in np.flatnonzero(held)
            ]
        if not rows:
            raise InputError(_no_phrase(conditions, report))
        report.phrases = sorted(rows, key=lambda row: (-row.count, row.phrase))[: settings.max_phrases]
        output.write(phrases_content(report.phrases))
    return report


def phrase_candidates(settings: PhraseSettings, report: PhraseReport) -> dict[int, PhraseCandidates]:
    """Returns the frequent n-grams of a corpus with their measures of association, by length.

    Args:
      settings: settings of corpus, normalization, `min_count`, `max_order` and KenLM's programs. Scores are ignored.
      report: receives the statistics of the corpus.
    """
    files = settings.source_names()
    with _temporary_directory(settings.temp_dir) as directory:
        programs = KenlmPrograms.find(settings.lmplz, settings.count_ngrams, settings.memory, directory)
        text = os.path.join(directory, "segments.txt")
        _write_segments(files, settings, text, report)
        return _score_ngrams(programs, settings, text, directory, report)


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

    cutter = segment_cutter(settings.do_lower_case, settings.normalization == "nfkc", settings.strip_accents)
    with open(path, "wb") as file:
        for lines in cutter(blocks()):
            file.write(lines)
    if not os.path.getsize(path):
        raise InputError(f"{settings.corpus_flag}: contains no words")


def _score_ngrams(
    programs: KenlmPrograms, settings: PhraseSettings, text: str, directory: str, report: PhraseReport
) -> dict[int, PhraseCandidates]:
    vocabulary_file, arpa = os.path.join(directory, "words"), os.path.join(directory, "model.arpa")
    lengths = [NgramSelection(order, settings.min_count) for order in range(2, settings.max_order + 1)]
    word_counts = np.zeros(0, np.int64)
    for ngrams in programs.counts(text, settings.max_order, vocabulary_file):
        word_counts = _add(word_counts, np.bincount(ngrams.words[:, -1], ngrams.counts).astype(np.int64))
        for selection in lengths:
            selection.add(ngrams)
    vocabulary = read_vocabulary(vocabulary_file)
    report.words = int(word_counts[NUM_SPECIAL_WORDS:].sum())
    report.distinct_words = len(vocabulary) - NUM_SPECIAL_WORDS
    table = NgramTable(word_counts)
    scored: dict[int, PhraseCandidates] = {}
    for selection in lengths:
        ngrams = selection.finish()
        report.orders[selection.order] = {"distinct": selection.distinct, "frequent": len(ngrams.counts)}
        table.add(ngrams)
        if len(ngrams.counts):
            programs.estimate(text, selection.order, settings.min_count, arpa)
            phrases = [" ".join(vocabulary[number] for number in numbers) for numbers in ngrams.words.tolist()]
            log10_conditional = _conditional_probabilities(phrases, arpa)
            last = word_counts[ngrams.words[:, -1]] / report.words
            npmi = _normalized_pmi(ngrams, log10_conditional, table, report.words)
            lift = 10**log10_conditional / last
            scored[selection.order] = PhraseCandidates(phrases, ngrams.counts, log10_conditional, lift, npmi)
    return scored


def _add(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns the sum of two arrays of counts, which may differ in length."""
    longer, shorter = (left, right) if len(left) >= len(right) else (right, left)
    longer = longer.copy()
    longer[: len(shorter)] += shorter
    return longer


def _conditional_probabilities(phrases: list[str], arpa: str) -> np.ndarray:
    """Returns log10 P(last word | words before), float64 [phrases], and removes the model's file."""
    config = kenlm.Config()
    config.show_progress = False
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    model = kenlm.Model(arpa, config)
    os.remove(arpa)
    state, following = kenlm.State(), kenlm.State()
    found = np.empty(len(phrases))
    for index, phrase in enumerate(phrases):
        model.NullContextWrite(state)
        for word in phrase.split(" "):
            found[index] = model.BaseScore(state, word, following)
            state, following = following, state
    return found


def _normalized_pmi(ngrams: NgramCounts, log10_conditional: np.ndarray, table: NgramTable, words: int) -> np.ndarray:
    """Returns the minimum normalized PMI over all ways to split each n-gram into two parts, float64 [ngrams].

    The probability of an n-gram is the relative frequency of all words but the last, times KenLM's conditional
    probability of the last word. The latter is discounted, because the evidence of a rare n-gram is uncertain.
    """

    def log10_frequency(part: np.ndarray) -> np.ndarray:
        return np.log10(table.counts(part) / words)

    order = ngrams.words.shape[1]
    joint = log10_frequency(ngrams.words[:, :-1]) + log10_conditional
    parts = [
        log10_frequency(ngrams.words[:, :first]) + log10_frequency(ngrams.words[:, first:]) for first in range(1, order)
    ]
    return (joint - np.max(parts, axis=0)) / -joint


def _no_phrase(conditions: dict[str, Condition], report: PhraseReport) -> str:
    """Returns the error message for the first condition that no n-gram meets."""
    totals = {
        name: sum(numbers.get(name, 0) for numbers in report.orders.values()) for name in ("distinct", *conditions)
    }
    name = next(name for name in conditions if not totals[name])
    before = list(totals)[list(totals).index(name) - 1]
    advice = "use a smaller count or a larger corpus" if name == "frequent" else "use a smaller value"
    flag, meaning, _ = conditions[name]
    return f"{flag}: none of the {totals[before]:,} {before} n-grams has {meaning}; {advice}"
