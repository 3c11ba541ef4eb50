"""One of two workers started by test_cluster.py, as `worker.py DIRECTORY` with `TF_CONFIG`.

Trains 4 steps and saves its weights, checks whether the workers agree, which they do not, and trains until worker 1
kills itself. Prints the error messages as lines of JSON.
"""

import dataclasses
import json
import os
import signal
import sys

import numpy as np

from ambert_tf.errors import InputError
from ambert_tf.training.cluster import check_workers_agree, is_chief
from tests.training.runs import Run


@dataclasses.dataclass
class Flags:
    rate: float


def told(function):
    """Returns the error message of a call."""
    try:
        function()
    except InputError as error:
        return str(error)
    return "no error"


def main():
    directory = sys.argv[1]
    index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
    run = Run(num_train_steps=4)
    np.savez(os.path.join(directory, f"weights-{index}.npz"), **run.train(os.path.join(directory, f"run-{index}")))
    said = {
        "chief": is_chief(run.strategy),
        "flags": told(lambda: check_workers_agree(run.strategy, Flags(rate=index), 0)),
        "steps": told(lambda: check_workers_agree(run.strategy, Flags(rate=0.5), 7 * index)),
        "agreed": told(lambda: check_workers_agree(run.strategy, Flags(rate=0.5), 7)),
    }
    run.num_train_steps = 1000
    run.settings = dataclasses.replace(run.settings, save_checkpoints_steps=3)

    def die(step):
        if step == 6 and index == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    print(json.dumps(said), flush=True)
    print(json.dumps({"lost": told(lambda: run.train(after_checkpoint=die))}), flush=True)


if __name__ == "__main__":
    main()
