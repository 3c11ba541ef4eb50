"""The jobs of benchmarks/study.py and tiny_zh.py: commands that run once, even if the benchmark is interrupted."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from common import run_command

from ambert_tf.errors import InputError
from ambert_tf.outputs import atomic_path


class Jobs:
    """Runs commands one at a time and records them in progress.jsonl."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.path = os.path.join(directory, "progress.jsonl")
        self.finished: dict[str, dict[str, Any]] = {}
        self.started: dict[str, dict[str, Any]] = {}
        if os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as file:
                lines = file.readlines()
            if lines and not lines[-1].endswith("\n"):  # an incomplete last line
                lines.pop()
                with atomic_path(self.path) as temporary, open(temporary, "w", encoding="utf-8") as file:
                    file.writelines(lines)
            for record in map(json.loads, lines):
                (self.started if "started" in record else self.finished)[record["job"]] = record

    def run(
        self, name: str, command: Sequence[str], read: Callable[[], Any] | None = None, resumes: str | None = None
    ) -> dict[str, Any]:
        """Runs a command unless it has already finished, and returns its record.

        Args:
          name: unique name of the job.
          command: program and flags.
          read: returns the part of the command's output to record as `result`.
          resumes: the output directory, if the command resumes an interrupted run in it, whatever its flags were.

        Raises:
          InputError: the job has already finished, or an interrupted run of it was started, with other flags.
          SystemExit: the command failed.
        """
        shown = [part.replace(self.directory, "OUTPUT_DIR") for part in command]
        if self._has_finished(name, shown):
            return self.finished[name]
        resumed = bool(resumes and os.path.isdir(resumes))
        if resumes:
            self._start(name, shown, resumes)
        print(f"{name} ...", end=" ", flush=True)
        usage = run_command([sys.executable, *command])
        print(f"{usage.wall_seconds:.0f} s", flush=True)
        record: dict[str, Any] = {
            "job": name, "command": shown, "wall_seconds": round(usage.wall_seconds, 1),
            "processor_seconds": round(usage.processor_seconds, 1), "result": read() if read else None,
        }  # fmt: skip
        if resumed:  # the seconds are those of the last attempt
            record["resumed"] = True
        self.finished[name] = self._record(record)
        return record

    def make(self, name: str, flags: Sequence[str], function: Callable[[], object]) -> None:
        """Calls a function, as `run` runs a command. `flags` is what its result depends on."""
        if not self._has_finished(name, list(flags)):
            function()
            self.finished[name] = self._record({"job": name, "command": list(flags)})

    def _has_finished(self, name: str, shown: list[str]) -> bool:
        if name in self.finished and self.finished[name]["command"] != shown:
            raise InputError(
                f"--output_dir={self.directory}: the job {name!r} has finished with other flags, "
                f"{' '.join(self.finished[name]['command']) or 'none'}; repeat them or choose another directory"
            )
        return name in self.finished

    def _start(self, name: str, shown: list[str], directory: str) -> None:
        """Records the flags of a job that may be interrupted, or checks them if there is output of an earlier run."""
        earlier = self.started[name]["started"] if name in self.started else shown
        if earlier != shown and os.path.isdir(directory):
            raise InputError(
                f"--output_dir={self.directory}: the job {name!r} was started with other flags, {' '.join(earlier)}; "
                f"repeat them, delete {directory} or choose another directory"
            )
        if name not in self.started or earlier != shown:
            self.started[name] = self._record({"job": name, "started": shown})

    def _record(self, record: dict[str, Any]) -> dict[str, Any]:
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
        return record

    def make_tokenizer(self, corpus: str, language: str, directory: str, *options: str) -> None:
        """Builds a tokenizer from a corpus, with other flags of data/build_vocab.py."""
        command = ["data/build_vocab.py", f"--input_file={corpus}", f"--language={language}"]
        self.run("tokenizer", [*command, f"--output_dir={directory}", *options])

    def make_records(self, name: str, corpora: str, tokenizer: str, path: str, *options: str) -> str:
        """Writes records of corpora, with other flags of data/create_pretraining_data.py, and returns their file."""
        command = ["data/create_pretraining_data.py", f"--input_file={corpora}", f"--tokenizer_dir={tokenizer}"]
        self.run(f"{name} records", [*command, f"--output_file={path}", *options])
        return path

    def make_embeddings(self, corpus: str, tokenizer: str, path: str, *options: str) -> str:
        """Computes initial token embeddings, with other flags of data/build_embeddings.py, and returns their file."""
        command = ["data/build_embeddings.py", f"--input_file={corpus}", f"--tokenizer_dir={tokenizer}"]
        self.run("embeddings", [*command, f"--output_file={path}", *options])
        return path


def read_json(*path: str) -> Any:
    """Returns the contents of a JSON file."""
    with open(os.path.join(*path), encoding="utf-8") as file:
        return json.load(file)
