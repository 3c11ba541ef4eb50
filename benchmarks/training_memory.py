"""Measures the peak memory of a training step: of the whole batch, accumulated in parts, and of a single part.

    python benchmarks/training_memory.py --config=mini --batch_size=64 --parts=8

The sequences are random, as in training_step.py, in float32. Each measurement runs in a separate process. It creates
the model, its optimizer and the batch, and takes the maximum resident set size of three training steps minus that
before them. Expected: accumulation needs the memory of a single part plus that of the summed gradients, which is also
printed. The single part is trained for as many steps as accumulation runs parts, because glibc's malloc keeps freed
memory, and the peak grows over the first steps. It takes three minutes for mini.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import re
import subprocess
import sys
from collections.abc import Sequence

from absl import flags
from common import machine
from pretraining_runs import VOCAB_SIZES, random_batch

from ambert_tf.errors import run_main

FLAGS = flags.FLAGS
_MEASURE = "measure"
STEPS = 3


def _status(field: str) -> float:
    """Returns a field of this process's memory in MB."""
    with open("/proc/self/status", encoding="utf-8") as file:
        return int(re.search(rf"{field}:\s+(\d+) kB", file.read()).group(1)) / 1000  # type: ignore[union-attr]


def _measure(batch_size: int, parts: int, steps: int) -> None:
    """Prints the peak above the baseline and the size of the gradients, in MB."""
    import tensorflow as tf

    from ambert_tf.models.ambert_backbone import AmbertBackbone
    from ambert_tf.models.ambert_masked_lm import AmbertMaskedLM
    from ambert_tf.models.config import ModelConfig
    from ambert_tf.pretraining.pretraining_objective import PretrainingObjective
    from ambert_tf.training.distribution import make_strategy
    from ambert_tf.training.learning_rate import WarmupLinearDecay
    from ambert_tf.training.optimizer import AdamW
    from ambert_tf.training.settings import TrainingSettings
    from ambert_tf.training.step import TrainFunction

    config = ModelConfig.preset(FLAGS.config, *VOCAB_SIZES)
    objective = PretrainingObjective(AmbertMaskedLM(AmbertBackbone.from_model_config(config), compile=False))
    optimizer = AdamW(objective.model.trainable_variables, WarmupLinearDecay(1e-4, 10_000, 100))
    batches = iter(tf.data.Dataset.from_tensors(random_batch(batch_size)).repeat())
    settings = TrainingSettings(gradient_accumulation_steps=parts)
    train = TrainFunction(make_strategy(None), objective, optimizer, settings)
    next(batches)
    with open("/proc/self/clear_refs", "w", encoding="utf-8") as file:
        file.write("5")  # Resets the peak.
    before = _status("VmRSS")
    for _ in range(steps):
        train(batches, 1)
    gradients = sum(4 * variable.value.shape.num_elements() for variable in objective.model.trainable_variables) / 1e6
    print(f"{_status('VmHWM') - before:.0f} {gradients:.0f}")


def main(argv: Sequence[str]) -> None:
    """Prints one line per measurement."""
    if argv[1:2] == [_MEASURE]:
        _measure(*map(int, argv[2:5]))
        return
    print(f"{machine()}; {FLAGS.config}")
    one = FLAGS.batch_size // FLAGS.parts
    for name, size, parts, steps in (
        (f"batch of {FLAGS.batch_size}", FLAGS.batch_size, 1, STEPS),
        (f"batch of {FLAGS.batch_size} in {FLAGS.parts} parts", FLAGS.batch_size, FLAGS.parts, STEPS),
        (f"batch of {one} alone", one, 1, STEPS * FLAGS.parts),
    ):
        command = [sys.executable, __file__, f"--config={FLAGS.config}", _MEASURE, *map(str, (size, parts, steps))]
        peak, gradients = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-2:]
        print(f"{name:<28}{peak:>6} MB above the baseline (gradients: {gradients} MB)", flush=True)


if __name__ == "__main__":
    flags.DEFINE_string("config", "mini", "Preset.")
    flags.DEFINE_integer("batch_size", 64, "Sequences per training step.")
    flags.DEFINE_integer("parts", 8, "Gradient accumulation steps.")
    run_main(main, takes_files=True)
