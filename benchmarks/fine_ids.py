"""Compares fine ids with those of Google's tokenization.py: the fraction of lines with equal ids.

    python benchmarks/fine_ids.py --google_bert=PATH --vocab_file=vocab.txt --corpora='corpus/*.txt'

PATH is a checkout of github.com/google-research/bert. Up to --show lines that differ are printed. Google's code
processes about 0.3 MB/s per core, so 10 MB take less than a minute on two cores.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import multiprocessing
import sys
from collections.abc import Sequence

from absl import flags
from common import lines_of, machine

from ambert_tf.errors import run_main

FLAGS = flags.FLAGS
flags.DEFINE_string("google_bert", None, "Checkout of google-research/bert.", required=True)
flags.DEFINE_string("vocab_file", None, "Vocabulary.", required=True)
flags.DEFINE_string("corpora", None, "Text files.", required=True)
flags.DEFINE_bool("do_lower_case", True, "Lower-case the text, as uncased models do.")
flags.DEFINE_integer("show", 20, "Differences to print.")

_google = None


def _load_google(path: str, vocab_file: str, do_lower_case: bool) -> None:
    global _google
    import tensorflow.compat.v1 as tf1

    sys.modules["tensorflow"] = tf1  # it was written for TensorFlow 1
    sys.path.insert(0, path)
    import tokenization

    _google = tokenization.FullTokenizer(vocab_file, do_lower_case)


def _google_tokens(line: bytes) -> list[str]:
    assert _google is not None
    return _google.tokenize(line)


def main(argv: Sequence[str]) -> None:
    """Prints the fraction of equal lines, and the differences."""
    del argv
    from ambert_tf.files import input_files

    lines = lines_of(input_files(FLAGS.corpora, "corpora"))
    arguments = (FLAGS.google_bert, FLAGS.vocab_file, FLAGS.do_lower_case)
    context = multiprocessing.get_context("spawn")
    with context.Pool(initializer=_load_google, initargs=arguments) as pool:
        expected = pool.map(_google_tokens, lines, chunksize=1000)

    import tensorflow as tf

    from ambert_tf.tokenization import vocab_file
    from ambert_tf.tokenization.normalizer import Normalizer, find_words
    from ambert_tf.tokenization.wordpiece import WordPiece

    print(machine())
    vocab = vocab_file.read_vocabulary(FLAGS.vocab_file, "vocab_file")
    normalizer, wordpiece = Normalizer(FLAGS.do_lower_case, fold=False), WordPiece(vocab)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def tokenize(texts: tf.Tensor) -> tf.RaggedTensor:
        words = find_words(normalizer(texts))
        pieces = wordpiece(words)
        return tf.RaggedTensor.from_row_splits(pieces.ids, tf.gather(pieces.boundaries, words.splits))

    different = []
    for start in range(0, len(lines), 1024):
        rows = tokenize(tf.constant(lines[start : start + 1024])).to_list()
        for offset, row in enumerate(rows):
            ours = [vocab[index] for index in row]
            if ours != expected[start + offset]:
                different.append((lines[start + offset].decode(errors="replace"), expected[start + offset], ours))
    print(
        f"{len(lines):,} lines, {len(lines) - len(different):,} with equal ids: {1 - len(different) / len(lines):.4%}"
    )
    for line, google, ours in different[: FLAGS.show]:
        place = next(
            (i for i, (a, b) in enumerate(zip(google, ours, strict=False)) if a != b), min(len(google), len(ours))
        )
        print(f"  {line[:60]!r} at token {place}: Google {google[place : place + 5]}, ours {ours[place : place + 5]}")


if __name__ == "__main__":
    run_main(main)
