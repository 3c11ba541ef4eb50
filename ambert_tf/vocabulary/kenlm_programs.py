"""KenLM's programs: `count_ngrams`, which counts n-grams, and `lmplz`, which estimates models, both on disk."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, NamedTuple

import numpy as np

from ambert_tf.errors import InputError

# KenLM's vocabulary begins with <unk>, <s> and </s>, of which no phrase can hold one.
NUM_SPECIAL_WORDS = 3

_READ_NGRAMS = 1 << 17


class NgramCounts(NamedTuple):
    """Some n-grams of one length, with how often they occur.

    Attributes:
      words: int64 [ngrams, order]; places in the vocabulary list.
      counts: int64 [ngrams].
    """

    words: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True)
class KenlmPrograms:
    """Runs KenLM's two programs.

    Args:
      lmplz, count_ngrams: the programs' files.
      memory: for sorting, as GNU sort takes it: `4G`, `30%`.
      temp_dir: where the programs put what does not fit into memory.
    """

    lmplz: str
    count_ngrams: str
    memory: str
    temp_dir: str

    @classmethod
    def find(cls, lmplz: str | None, count_ngrams: str | None, memory: str, temp_dir: str) -> "KenlmPrograms":
        """Finds the programs: where they are said to be, beside the running Python, or on PATH.

        Raises:
          InputError: one is missing; tells how to build it.
        """
        return cls(_find("lmplz", lmplz), _find("count_ngrams", count_ngrams), memory, temp_dir)

    def counts(self, text: str, order: int, vocabulary: str) -> Iterator[NgramCounts]:
        """Counts the n-grams of a text in which each line is a sentence, and writes the vocabulary.

        Each word of the text, and each line's end, is the last word of one n-gram: in the first ones of a line <s>
        fills the places before it. They come in the order of their last words, equal ones in the order of the words
        before those, and so on: all that end alike are neighbours.

        Args:
          text: the file.
          order: words of an n-gram.
          vocabulary: the file to write for `read_vocabulary`; complete when the last counts have come.

        Raises:
          InputError: the program failed; with what it said last.
        """
        command = [self.count_ngrams, "--order", str(order), *self._resources(), "--write_vocab_list", vocabulary]
        with open(text, "rb") as source, self._log("count_ngrams") as log:
            with subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE, stderr=log) as process:
                assert process.stdout is not None
                try:
                    yield from _read_counts(process.stdout, order)
                finally:
                    # Ends it where its counts are not all wanted; has no effect on one that has ended.
                    process.stdout.close()
            _check(process.returncode, "count_ngrams", log)

    def estimate(self, text: str, order: int, least_count: int, arpa: str) -> None:
        """Estimates a modified Kneser-Ney model and writes it in the ARPA format.

        Args:
          text: the file; a sentence a line.
          order: of the model.
          least_count: n-grams of two words and more that occur less often are left out of the file, which changes the
            others' probabilities a little only and keeps the file small. None of their contexts can be missing.
          arpa: the file to write.

        Raises:
          InputError: the program failed; with what it said last.
        """
        # Where a text is too small to estimate discounts from, the fallback's are taken.
        command = [self.lmplz, "--order", str(order), *self._resources(), "--discount_fallback", "--arpa", arpa]
        command += ["--prune", "0", str(least_count - 1)]
        with open(text, "rb") as source, self._log("lmplz") as log:
            process = subprocess.run(command, stdin=source, stdout=subprocess.DEVNULL, stderr=log, check=False)
            _check(process.returncode, "lmplz", log)

    def _resources(self) -> list[str]:
        return ["--memory", self.memory, "--temp_prefix", os.path.join(self.temp_dir, "")]

    def _log(self, program: str) -> IO[bytes]:
        return open(os.path.join(self.temp_dir, f"{program}.log"), "w+b")


def read_vocabulary(path: str) -> list[str]:
    """Reads the vocabulary that `KenlmPrograms.counts` wrote."""
    with open(path, "rb") as file:
        return [word.decode() for word in file.read().split(b"\0")[:-1]]


def _find(program: str, given: str | None) -> str:
    if given is not None:
        if not os.access(given, os.X_OK) or os.path.isdir(given):
            raise InputError(f"--{program}={given}: is no program that can be run; give KenLM's {program}")
        return given
    beside = os.path.join(os.path.dirname(sys.executable), program)
    found = shutil.which(beside) or shutil.which(program)
    if found is None:
        raise InputError(
            f"--{program}: KenLM's {program} is neither beside {sys.executable} nor on PATH; `make setup` builds it "
            f"into .venv/bin, tools/build_kenlm.sh into another virtual environment; or name its file with --{program}"
        )
    return found


def _read_counts(stream: IO[bytes], order: int) -> Iterator[NgramCounts]:
    # What the program writes is its own memory: the words' numbers, then the count.
    record = np.dtype([("words", np.uint32, (order,)), ("count", np.uint64)])
    rest = b""
    while block := stream.read(_READ_NGRAMS * record.itemsize):
        block = rest + block
        complete = len(block) // record.itemsize * record.itemsize
        rest = block[complete:]
        records = np.frombuffer(block[:complete], record)
        yield NgramCounts(records["words"].astype(np.int64), records["count"].astype(np.int64))


def _check(status: int, program: str, log: IO[bytes]) -> None:
    if status:
        log.seek(0)
        lines = [line.strip() for line in log.read().decode(errors="replace").splitlines()]
        # Progress is drawn with stars and dashes; the last line that is not says what happened.
        said = [line for line in lines if line.strip("*-0123456789 ")]
        last = said[-1] if said else f"status {status}"
        raise InputError(f"KenLM's {program} failed: {last} (its flags here are --memory and --temp_dir)")
