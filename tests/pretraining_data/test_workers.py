import os
import pathlib
import signal
import subprocess
import sys
import time

PROJECT = pathlib.Path(__file__).resolve().parent.parent.parent

# A shell without job control ignores Ctrl-C in what it runs in the background, such as a whole test run.
PROGRAM = """
import signal
import time
from ambert_tf.errors import run_main
from ambert_tf.pretraining_data.workers import task_runner

def main(argv):
    with task_runner(2, int, ()) as run:
        for _ in run(time.sleep, [(60,)] * 4):
            pass

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    run_main(main)
"""


def children_of(pid):
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_ctrl_c_while_workers_start_ends_them_with_one_line(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    with subprocess.Popen(
        [sys.executable, str(script)], env={**os.environ, "PYTHONPATH": str(PROJECT)}, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    ) as process:  # fmt: skip
        while process.poll() is None and len(children_of(process.pid)) < 3:  # two workers and the resource tracker
            time.sleep(0.01)
        workers = children_of(process.pid)
        time.sleep(0.3)  # they import
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate()
    assert (process.returncode, errors) == (130, "error: interrupted\n")
    for _ in range(500):
        left = [pid for pid in workers if os.path.exists(f"/proc/{pid}")]
        if not left:
            break
        time.sleep(0.01)
    assert left == []
