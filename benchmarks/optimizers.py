"""Compares Keras' AdamW, Lamb and LossScaleOptimizer with those of `ambert_tf.training`: time per step, exactness.

    python benchmarks/optimizers.py --config=mini --steps=10

Time is that of one optimizer step on an AMBERT's variables with given gradients, clipped by their global norm. For
exactness, the same gradients are applied as a whole on one replica, and as two halves on two replicas. The benchmark
prints the maximum difference between the two results, in units of the learning rate. It is not 0 for Keras, which clips
each replica's gradients before summing them. It takes a minute for mini. base needs 4 GB of memory.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import flags
from common import machine, timed
from pretraining_runs import VOCAB_SIZES

from ambert_tf.errors import run_main
from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_masked_lm import AmbertMaskedLM
from ambert_tf.models.config import ModelConfig
from ambert_tf.training.distribution import make_strategy
from ambert_tf.training.learning_rate import WarmupLinearDecay
from ambert_tf.training.optimizer import AdamW, AdamWSettings, Lamb
from ambert_tf.training.precision import LossScale

FLAGS = flags.FLAGS
flags.DEFINE_string("config", "mini", "Preset whose variables are trained.")
flags.DEFINE_integer("steps", 10, "Timed steps.")

RATE = 1e-3
_EXCLUDED = ["bias", "beta", "gamma"]
Apply = Callable[[list[tf.Tensor]], Any]


def _ours(kind: type[AdamW], float16: bool, variables: Sequence[keras.Variable]) -> Apply:
    scale = LossScale() if float16 else None
    optimizer = kind(variables, WarmupLinearDecay(RATE, 10**9), AdamWSettings(), scale)
    return optimizer.apply_gradients


def _keras(kind: type[keras.Optimizer], float16: bool, variables: Sequence[keras.Variable]) -> Apply:
    optimizer = kind(RATE, weight_decay=0.01, epsilon=1e-6, global_clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=_EXCLUDED)
    if float16:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(variables)
    return lambda gradients: optimizer.apply(gradients, variables)


OPTIMIZERS = {
    "AdamW": (lambda v: _ours(AdamW, False, v), lambda v: _keras(keras.optimizers.AdamW, False, v)),
    "AdamW, float16": (lambda v: _ours(AdamW, True, v), lambda v: _keras(keras.optimizers.AdamW, True, v)),
    "Lamb": (lambda v: _ours(Lamb, False, v), lambda v: _keras(keras.optimizers.Lamb, False, v)),
}


def _milliseconds(make: Callable[[Sequence[keras.Variable]], Apply]) -> float:
    config = ModelConfig.preset(FLAGS.config, *VOCAB_SIZES)
    variables = AmbertMaskedLM(AmbertBackbone.from_model_config(config), compile=False).trainable_variables
    gradients = [tf.random.stateless_normal(variable.shape, [index, 0]) for index, variable in enumerate(variables)]
    apply = make(variables)

    @tf.function(autograph=False)
    def step() -> tf.Tensor:
        apply(gradients)
        return tf.constant(0)

    return 1000 * statistics.median(timed(lambda: step().numpy(), FLAGS.steps))


def _difference(make: Callable[[Sequence[keras.Variable]], Apply], loss_scale: float) -> float:
    """Returns the difference between two replicas with half the gradients each, and one replica with all of them."""
    halves = tf.constant([[3.0, 0.0, 0.1], [0.0, 0.2, -0.1]])  # of very different norms
    ends = []
    for replicas in (1, 2):
        strategy = make_strategy(replicas)
        with strategy.scope():
            variable = keras.Variable(np.array([1.0, 2.0, 3.0], np.float32), name="kernel")
            apply = make([variable])

        def on_replica(scale: float, apply: Apply = apply, replicas: int = replicas) -> tf.Tensor:
            index = tf.distribute.get_replica_context().replica_id_in_sync_group
            gradient = halves[index] if replicas == 2 else tf.reduce_sum(halves, axis=0)
            apply([gradient * (scale * loss_scale)])
            return tf.constant(0)

        # The second step has different gradients, because a single Adam step does not depend on the gradient's norm.
        for scale in (1.0, 0.2):
            tf.function(strategy.run, autograph=False)(on_replica, args=(scale,))
        ends.append(np.asarray(variable.value.numpy()))
    return float(np.abs(ends[0] - ends[1]).max() / RATE)


def main(argv: Sequence[str]) -> None:
    """Prints one line per optimizer."""
    del argv
    make_strategy(2)  # before any other TensorFlow operation
    print(f"{machine()}; {FLAGS.config}")
    for name, (ours, theirs) in OPTIMIZERS.items():
        times, differences = [_milliseconds(make) for make in (ours, theirs)], []
        for make in (ours, theirs):
            try:
                loss_scale = 2.0**15 if "float16" in name else 1.0
                differences.append(f"{_difference(make, loss_scale):.2g}")
            except (ValueError, TypeError, RuntimeError, AttributeError) as error:
                differences.append(f"{type(error).__name__}: {str(error).strip().splitlines()[0]}")
        print(
            f"{name:<16}ambert_tf {times[0]:7.1f} ms   Keras {times[1]:7.1f} ms   ratio {times[1] / times[0]:.2f}   "
            f"two replicas differ by {differences[0]}, Keras by {differences[1]}",
            flush=True,
        )


if __name__ == "__main__":
    run_main(main)
