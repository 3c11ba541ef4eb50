"""Small runs of run_pretraining.py, for benchmarks that kill, resume and compare runs."""

import json
import os
import sys
from typing import TYPE_CHECKING

import numpy as np
from common import chinese_corpora, corpus_text, make_tokenizer, run_command, text_of_size, write

if TYPE_CHECKING:
    import tensorflow as tf

# Metrics that measure time and differ between equal runs.
SPEEDS = ("_per_second", "peak_share", "mfu")
# Length, number of masked tokens and vocabulary size in `random_batch`. The vocabularies are the paper's Chinese ones.
RANDOM_SEQUENCES = {"fine": (128, 20, 21128), "coarse": (80, 12, 93763)}
VOCAB_SIZES = (21128, 93763)


def make_records(
    root: str, corpora: str | None, megabytes: float, num_shards: int = 4, max_seq_length: int = 64
) -> None:
    """Creates `root/tokenizer` and `root/records-*`, with dynamic masks, from a Chinese text of the given size."""
    text = text_of_size(corpus_text(chinese_corpora(corpora)), int(megabytes * 1e6))
    corpus = write(os.path.join(root, "corpus.txt"), text)
    make_tokenizer(corpus, os.path.join(root, "tokenizer"), None)
    command = [
        sys.executable, "data/create_pretraining_data.py", f"--input_file={corpus}",
        f"--tokenizer_dir={root}/tokenizer", f"--output_file={root}/records", f"--max_seq_length={max_seq_length}",
        f"--num_shards={num_shards}", "--masking=dynamic",
    ]  # fmt: skip
    run_command(command)


def pretraining_command(root: str, output_dir: str, steps: int, checkpoint_steps: int) -> list[str]:
    """Returns the command of a small run with dropout, shuffling and dynamic masks."""
    return [
        sys.executable, "run_pretraining.py", f"--input_file={root}/records-*", f"--tokenizer_dir={root}/tokenizer",
        f"--output_dir={output_dir}", "--config=tiny", "--train_batch_size=8", f"--num_train_steps={steps}",
        f"--save_checkpoints_steps={checkpoint_steps}", "--log_steps=1", "--shuffle_buffer=100",
    ]  # fmt: skip


def curve(output_dir: str) -> list[dict[str, float]]:
    """Returns the lines of `metrics.jsonl` without speeds."""
    with open(os.path.join(output_dir, "metrics.jsonl"), encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return [{name: value for name, value in line.items() if not name.endswith(SPEEDS)} for line in lines]


def last_step(output_dir: str) -> int:
    """Returns the step of the last complete line of `metrics.jsonl`, or 0 if there is none yet."""
    try:
        with open(os.path.join(output_dir, "metrics.jsonl"), encoding="utf-8") as file:
            lines = [line for line in file if line.endswith("\n")]
    except FileNotFoundError:
        return 0
    return json.loads(lines[-1])["step"] if lines else 0


def first_difference(found: list[dict[str, float]], expected: list[dict[str, float]]) -> str:
    """Describes the first difference between two curves, or returns "" if they are equal."""
    for one, other in zip(found, expected, strict=False):
        for name in sorted({*one, *other}):
            if one.get(name) != other.get(name):
                return f"step {other['step']}: {name} is {one.get(name)}, expected {other.get(name)}"
    return "" if len(found) == len(expected) else f"{len(found)} lines, expected {len(expected)}"


def random_batch(batch_size: int) -> "dict[str, tf.Tensor]":
    """Returns a batch of full-length sequences of random tokens, for the vocabularies of `VOCAB_SIZES`."""
    import tensorflow as tf

    generator = np.random.default_rng(1)
    batch: dict[str, tf.Tensor] = {}
    for grain, (length, masked, vocab_size) in RANDOM_SEQUENCES.items():
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
