"""Seconds an update of pre-training takes, for AMBERT and its fine half, by size and precision.

    python benchmarks/training_step.py --configs=tiny,mini --updates=20
    python benchmarks/training_step.py --configs=base --precisions=float32 --batch_size=8 --updates=3 --profile

Random tokens of full length: 128 fine and 80 coarse ones a sequence, 20 and 12 of them masked, vocabularies of 21,128
and 93,763 (the paper's Chinese ones). The peers are `bert_fine` in the same run, the paper pays 2 times its cost at
equal lengths, and the machine's peak, that of a plain matrix product. There is no padding: all operations count.
--profile adds where the time goes, from TensorFlow's own trace of one more update: the seconds of each kind of kernel
as a share of all kernels' seconds. Two kernels that run side by side share the cores, so that a cheap one beside a
matrix product seems dear.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import collections
import glob
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from absl import flags
from common import machine

from ambert_tf.errors import run_main
from ambert_tf.models.config import ModelConfig
from ambert_tf.models.pretraining_model import PretrainingModel
from ambert_tf.pretraining.pretraining_objective import PretrainingObjective
from ambert_tf.training.distribution import make_strategy
from ambert_tf.training.loop import LoopSettings, TrainFunction
from ambert_tf.training.optimizer import AdamW, WarmupLinearDecay
from ambert_tf.training.peak import matrix_peak
from ambert_tf.training.precision import POLICIES

FLAGS = flags.FLAGS
flags.DEFINE_list("configs", ["tiny", "mini"], "Presets to measure.")
flags.DEFINE_list("precisions", ["float32", "bfloat16"], "float32, bfloat16 or float16.")
flags.DEFINE_integer("batch_size", 16, "Sequences an update.")
flags.DEFINE_integer("updates", 10, "Timed updates.")
flags.DEFINE_boolean("profile", False, "Print where the time goes.")

KERNELS_SHOWN = 12
_LENGTHS = {"fine": (128, 20, 21128), "coarse": (80, 12, 93763)}


def _batch(batch_size: int) -> dict[str, tf.Tensor]:
    generator = np.random.default_rng(1)
    batch: dict[str, tf.Tensor] = {}
    for grain, (length, masked, vocab_size) in _LENGTHS.items():
        batch[f"{grain}_input_ids"] = tf.constant(generator.integers(200, vocab_size, (batch_size, length)), tf.int32)
        batch[f"{grain}_segment_ids"] = tf.zeros([batch_size, length], tf.int32)
        positions = np.sort(generator.permuted(np.tile(np.arange(length), (batch_size, 1)), axis=1)[:, :masked])
        batch[f"{grain}_masked_lm_positions"] = tf.constant(positions, tf.int32)
        batch[f"{grain}_masked_lm_ids"] = tf.constant(
            generator.integers(200, vocab_size, (batch_size, masked)), tf.int32
        )
        batch[f"{grain}_masked_lm_weights"] = tf.ones([batch_size, masked])
    batch["fine_to_coarse"] = tf.constant(np.tile(np.arange(128) * 80 // 128, (batch_size, 1)), tf.int32)
    return batch


def _measure(name: str, model_type: str, precision: str) -> tuple[float, float]:
    """Returns seconds and FLOP/s of an update, medians."""
    strategy = make_strategy(None)
    with strategy.scope():
        config = ModelConfig.preset(name, _LENGTHS["fine"][2], _LENGTHS["coarse"][2], model_type=model_type)
        objective = PretrainingObjective(PretrainingModel(config, dtype=POLICIES[precision]))
        optimizer = AdamW(objective.trainable_variables, WarmupLinearDecay(1e-4, 10_000, 100))
    batches = iter(
        strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensors(_batch(FLAGS.batch_size)).repeat())
    )
    update = TrainFunction(strategy, objective, optimizer, LoopSettings(num_train_steps=10_000))
    for _ in range(3):
        update(batches, 1)
    seconds, flops = [], 0.0
    for _ in range(FLAGS.updates):
        start = time.perf_counter()
        flops = float(update(batches, 1)["model_flops"][0])
        seconds.append(time.perf_counter() - start)
    if FLAGS.profile:
        _print_profile(model_type, lambda: update(batches, 1))
    return statistics.median(seconds), flops


def _print_profile(model_type: str, run: Callable[[], object]) -> None:
    """Runs an update under TensorFlow's profiler; prints the kinds of kernels that take most."""
    # The trace's format has no public module; this is the one that TensorFlow's own tools read it with.
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    seconds: collections.Counter[str] = collections.Counter()
    calls: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as directory:
        tf.profiler.experimental.start(directory)
        run()
        tf.profiler.experimental.stop()
        trace = xplane_pb2.XSpace()
        for path in glob.glob(f"{directory}/**/*.xplane.pb", recursive=True):
            with open(path, "rb") as file:
                trace.MergeFromString(file.read())
    for plane in trace.planes:
        for event in (event for line in plane.lines for event in line.events):
            name, _, kind = plane.event_metadata[event.metadata_id].name.rpartition(":")
            if "while/body" in name:  # a kernel of the loop over updates, not what encloses it
                seconds[kind] += event.duration_ps / 1e12
                calls[kind] += 1
    total = seconds.total()
    print(f"  {model_type}: {total:.2f} s of kernels")
    for kind, value in seconds.most_common(KERNELS_SHOWN):
        print(f"    {value / total:6.1%}  {kind} ({calls[kind]})")


def main(argv: Sequence[str]) -> None:
    """Prints a line for each configuration, precision and model."""
    del argv
    print(f"{machine()}; {FLAGS.batch_size} sequences an update")
    for name in FLAGS.configs:
        for precision in FLAGS.precisions:
            alone, peak = 0.0, matrix_peak(precision)
            for model_type in ("bert_fine", "ambert"):
                seconds, flops = _measure(name, model_type, precision)
                alone = alone or seconds
                print(
                    f"{name:<6}{precision:<10}{model_type:<10}{1000 * seconds:8.1f} ms  "
                    f"{FLAGS.batch_size / seconds:7.1f} sequences/s  {flops / seconds / 1e9:6.1f} GFLOP/s  "
                    f"{flops / seconds / peak:.0%} of the peak  {seconds / alone:.2f} times bert_fine",
                    flush=True,
                )


if __name__ == "__main__":
    run_main(main)
