"""Runs KenLM's programs: `count_ngrams` counts n-grams and `lmplz` estimates models, both on disk."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, NamedTuple

import numpy as np

from ambert_tf.errors import InputError

# KenLM's vocabulary starts with <unk>, <s> and </s>, which are not part of any phrase.
NUM_SPECIAL_WORDS = 3

_READ_NGRAMS = 1 << 17


class NgramCounts(NamedTuple):
    """N-grams of the same length with their counts.

    Attributes:
      words: int64 [ngrams, order], indices into the vocabulary list.
      counts: int64 [ngrams].
    """

    words: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True)
class KenlmPrograms:
    """Runs KenLM's two programs.

    Args:
      lmplz, count_ngrams: paths of the programs.
      memory: memory for sorting, in GNU sort's format, such as `4G` or `30%`.
      temp_dir: directory for data that does not fit into memory.
    """

    lmplz: str
    count_ngrams: str
    memory: str
    temp_dir: str

    @classmethod
    def find(cls, lmplz: str | None, count_ngrams: str | None, memory: str, temp_dir: str) -> "KenlmPrograms":
        """Finds the programs at the given paths, next to the Python interpreter, or on PATH.

        Raises:
          InputError: a program is missing. The message says how to build it.
        """
        return cls(_find("lmplz", lmplz), _find("count_ngrams", count_ngrams), memory, temp_dir)

    def counts(self, text: str, order: int, vocabulary: str) -> Iterator[NgramCounts]:
        """Counts the n-grams of a text with one sentence per line, and writes the vocabulary.

        Each word of the text, and the end of each line, is the last word of one n-gram. At the beginning of a line,
        n-grams are padded with <s>. N-grams are sorted by their last word, then by the word before it, etc., so n-grams
        with the same ending are adjacent.

        Args:
          text: the file.
          order: number of words in an n-gram.
          vocabulary: the file to write for `read_vocabulary`. It is complete after the last counts.

        Raises:
          InputError: the program failed. The message contains its last line.
        """
        command = [self.count_ngrams, "--order", str(order), *self._resources(), "--write_vocab_list", vocabulary]
        with open(text, "rb") as source, self._log("count_ngrams") as log:
            with subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE, stderr=log) as process:
                assert process.stdout is not None
                try:
                    yield from _read_counts(process.stdout, order)
                finally:
                    # End the program if the remaining counts are not needed.
                    process.stdout.close()
            _check(process.returncode, "count_ngrams", log)

    def estimate(self, text: str, order: int, least_count: int, arpa: str) -> None:
        """Estimates a modified Kneser-Ney model and writes it in ARPA format.

        Args:
          text: the file, with one sentence per line.
          order: order of the model.
          least_count: less frequent n-grams of two or more words are pruned, which keeps the file small. A frequent
            n-gram's context is never pruned. The other probabilities change: on 11 MB of English, with a least count of
            5, by 3 % (bigrams) to 5 % (trigrams) on average, and by up to 64 % for n-grams of function words such as
            "had been of". Of the phrases selected by normalized PMI, 0.3 % change; by conditional probability, 2 %.
          arpa: the file to write.

        Raises:
          InputError: the program failed. The message contains its last line.
        """
        # If the text is too small to estimate discounts, the fallback is used.
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
    """Reads the vocabulary written by `KenlmPrograms.counts`."""
    with open(path, "rb") as file:
        return [word.decode() for word in file.read().split(b"\0")[:-1]]


def _find(program: str, given: str | None) -> str:
    if given is not None:
        if not os.access(given, os.X_OK) or os.path.isdir(given):
            raise InputError(f"--{program}={given}: not an executable file; KenLM's {program} is expected")
        return given
    beside = os.path.join(os.path.dirname(sys.executable), program)
    found = shutil.which(beside) or shutil.which(program)
    if found is None:
        raise InputError(
            f"--{program}: KenLM's {program} is neither next to {sys.executable} nor on PATH; build it with `make "
            f"setup` (in .venv) or tools/build_kenlm.sh (in another environment), or name the file with --{program}"
        )
    return found


def _read_counts(stream: IO[bytes], order: int) -> Iterator[NgramCounts]:
    # The program writes its in-memory structure: word ids, followed by the count.
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
        # Progress bars consist of stars and dashes; the last other line is the message.
        said = [line for line in lines if line.strip("*-0123456789 ")]
        last = said[-1] if said else f"status {status}"
        raise InputError(f"KenLM's {program} failed: {last} (its flags here are --memory and --temp_dir)")
