"""One trainer of benchmarks/peers.py as a separate process: trains steps on request and times them.

It reads numbers of steps from its standard input and answers each with a line of JSON. This allows several trainers to
alternate, so that none of them computes while another is timed.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from absl import flags

from ambert_tf.errors import run_main

FLAGS = flags.FLAGS
flags.DEFINE_string("trainer", None, "One of TRAINERS.", required=True)
flags.DEFINE_string("weights", None, "Model directory of the initial weights, with hugging_face/ in it.", required=True)
flags.DEFINE_string("batches", None, "Batches as .npz, NUMBER/NAME.")
flags.DEFINE_string("precision", "float32", "float32 or bfloat16.")
flags.DEFINE_integer("threads", 2, "Threads per operation.")
flags.DEFINE_boolean("dropout", True, "Whether to apply dropout.")

LEARNING_RATE, WARMUP, DECAY_STEPS, WEIGHT_DECAY = 1e-4, 10, 10_000, 0.01
MATRIX_SIZE = 2048

# By name, one value per step; always with "seconds".
Results = dict[str, list[float]]
# Trains a number of steps.
Run = Callable[[int], Results]


def _batches() -> list[dict[str, np.ndarray]]:
    """Returns the batches, the same for all trainers."""
    found: dict[int, dict[str, np.ndarray]] = {}
    with np.load(FLAGS.batches) as arrays:
        for key in arrays.files:
            number, _, name = key.partition("/")
            found.setdefault(int(number), {})[name] = arrays[key]
    return [found[number] for number in sorted(found)]


def _tensorflow() -> Any:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(FLAGS.threads)
    tf.config.threading.set_inter_op_parallelism_threads(FLAGS.threads)
    return tf


def _rates() -> dict[str, float]:
    return {} if FLAGS.dropout else {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def ours(model_type: str) -> Run:
    """Pre-training with this project, as run by run_pretraining.py."""
    tf = _tensorflow()
    import dataclasses

    from ambert_tf.conversion.ambert_model import start_variables
    from ambert_tf.conversion.initial import read_bert
    from ambert_tf.models.ambert_backbone import AmbertBackbone
    from ambert_tf.models.ambert_masked_lm import AmbertMaskedLM
    from ambert_tf.pretraining.pretraining_objective import PretrainingObjective
    from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
    from ambert_tf.training.checkpoints import load_model_directory
    from ambert_tf.training.distribution import make_strategy
    from ambert_tf.training.learning_rate import WarmupLinearDecay
    from ambert_tf.training.optimizer import AdamW, AdamWSettings
    from ambert_tf.training.precision import POLICIES
    from ambert_tf.training.settings import TrainingSettings
    from ambert_tf.training.step import TrainFunction

    directory = load_model_directory(FLAGS.weights)
    tokenizer = MultiGrainedTokenizer.load(directory.tokenizer_directory)
    changes: dict[str, Any] = {"model_type": model_type, **_rates()}
    if model_type != "bert_fine":
        changes["coarse_vocab_size"] = tokenizer.coarse_vocab_size
    config = dataclasses.replace(directory.config, **changes)
    strategy = make_strategy(None)
    with strategy.scope():
        model = AmbertMaskedLM(AmbertBackbone.from_model_config(config, dtype=POLICIES[FLAGS.precision]), compile=False)
        start_variables(model.variables, read_bert(os.path.join(FLAGS.weights, "hugging_face")), tokenizer)
        objective = PretrainingObjective(model)
        rate = WarmupLinearDecay(LEARNING_RATE, DECAY_STEPS, WARMUP)
        optimizer = AdamW(objective.model.trainable_variables, rate, AdamWSettings(weight_decay=WEIGHT_DECAY))
    batches = _batches()
    shapes = {
        name: tf.TensorSpec([len(value), *([None] * (value.ndim - 1))], value.dtype)
        for name, value in batches[0].items()
    }
    dataset = tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=shapes).cache().repeat()
    iterator = iter(strategy.experimental_distribute_dataset(dataset.prefetch(2)))
    function = TrainFunction(strategy, objective, optimizer, TrainingSettings())

    def step() -> dict[str, float]:
        metrics = function(iterator, 1)
        return {name: float(metrics[name][0]) for name in ("loss", "model_flops")}

    return _timed(step)


def hugging_face(compiled: bool) -> Run:
    """transformers' BertForMaskedLM in PyTorch."""
    import torch
    import transformers

    torch.set_num_threads(FLAGS.threads)
    transformers.logging.set_verbosity_error()
    model = transformers.BertForMaskedLM.from_pretrained(os.path.join(FLAGS.weights, "hugging_face"), **_rates())
    model.train()
    decayed = {name: not (name.endswith("bias") or "LayerNorm" in name) for name, _ in model.named_parameters()}
    groups = [
        {"params": [p for name, p in model.named_parameters() if decayed[name] == decays], "weight_decay": decay}
        for decays, decay in ((True, WEIGHT_DECAY), (False, 0.0))
    ]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, eps=1e-6, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: step / WARMUP if step < WARMUP else 1 - step / DECAY_STEPS
    )
    run = torch.compile(model) if compiled else model
    inputs = []
    for batch in _batches():
        ids = torch.tensor(batch["fine_input_ids"], dtype=torch.long)
        labels = np.full(ids.shape, -100)
        real = batch["fine_masked_lm_weights"] > 0
        labels[np.nonzero(real)[0], batch["fine_masked_lm_positions"][real]] = batch["fine_masked_lm_ids"][real]
        inputs.append(
            {
                "input_ids": ids,
                "token_type_ids": torch.tensor(batch["fine_segment_ids"], dtype=torch.long),
                "attention_mask": (ids != 0).long(),
                "labels": torch.tensor(labels),
            }
        )
    following = _endless(inputs)

    def step() -> dict[str, float]:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=FLAGS.precision == "bfloat16"):
            loss = run(**next(following)).loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        return {"loss": loss.item()}

    return _timed(step)


def keras_hub_fit() -> Run:
    """keras-hub's BertMaskedLM under `fit`. A step is timed from the end of one batch to the end of the next."""
    tf = _tensorflow()
    import keras
    import keras_hub

    from ambert_tf.models.config import ModelConfig

    config = ModelConfig.from_file(os.path.join(FLAGS.weights, "config.json"))
    if FLAGS.precision == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=config.vocab_size, num_layers=config.num_hidden_layers, num_heads=config.num_attention_heads,
        hidden_dim=config.hidden_size, intermediate_dim=config.intermediate_size,
        dropout=config.hidden_dropout_prob if FLAGS.dropout else 0.0,
        max_sequence_length=config.max_position_embeddings,
    )  # fmt: skip
    model = keras_hub.models.BertMaskedLM(backbone)
    model.compile(
        optimizer=keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY, epsilon=1e-6, global_clipnorm=1.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    batches = [
        (
            {
                "token_ids": batch["fine_input_ids"],
                "segment_ids": batch["fine_segment_ids"],
                "padding_mask": (batch["fine_input_ids"] != 0).astype(np.int32),
                "mask_positions": batch["fine_masked_lm_positions"],
            },
            batch["fine_masked_lm_ids"],
            batch["fine_masked_lm_weights"],
        )
        for batch in _batches()
    ]
    signature = tf.nest.map_structure(lambda value: tf.TensorSpec(value.shape, value.dtype), batches[0])
    dataset = tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=signature).cache().repeat()

    class Clock(keras.callbacks.Callback):
        """Records when each step ends."""

        def __init__(self) -> None:
            super().__init__()
            self.ends: list[float] = []

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.ends.append(time.perf_counter())

    def run(steps: int) -> Results:
        clock = Clock()
        model.fit(dataset, steps_per_epoch=steps + 1, epochs=1, verbose=0, callbacks=[clock])
        return {"seconds": [float(seconds) for seconds in np.diff(clock.ends)]}

    return run


def matrix_product(library: str) -> Run:
    """A plain matrix product, the machine's measured peak."""
    shape = (MATRIX_SIZE, MATRIX_SIZE)
    values = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    if library == "torch":
        import torch

        torch.set_num_threads(FLAGS.threads)
        matrix = torch.tensor(values).to(getattr(torch, FLAGS.precision))
        out = torch.empty_like(matrix)

        def product() -> None:
            torch.matmul(matrix, matrix, out=out)
    else:
        tf = _tensorflow()
        constant = tf.cast(values, FLAGS.precision)

        def product() -> None:
            tf.matmul(constant, constant)

    def step() -> dict[str, float]:
        product()
        return {"model_flops": 2.0 * MATRIX_SIZE**3}

    return _timed(step)


TRAINERS: dict[str, Callable[[], Run]] = {
    "bert_fine": lambda: ours("bert_fine"),
    "ambert": lambda: ours("ambert"),
    "ambert_combo": lambda: ours("ambert_combo"),
    "ambert_hybrid": lambda: ours("ambert_hybrid"),
    "transformers": lambda: hugging_face(False),
    "transformers_compiled": lambda: hugging_face(True),
    "keras_hub_fit": keras_hub_fit,
    "product_tensorflow": lambda: matrix_product("tensorflow"),
    "product_torch": lambda: matrix_product("torch"),
}


def _endless(items: Sequence[Any]) -> Iterator[Any]:
    while True:
        yield from items


def _timed(step: Callable[[], dict[str, float]]) -> Run:
    """Returns a run that times each call of a function and collects its results."""

    def run(steps: int) -> Results:
        results: Results = {"seconds": []}
        for _ in range(steps):
            start = time.perf_counter()
            values = step()
            results["seconds"].append(time.perf_counter() - start)
            for name, value in values.items():
                results.setdefault(name, []).append(value)
        return results

    return run


def main(argv: Sequence[str]) -> None:
    """Answers each number on standard input with the results of that many steps."""
    del argv
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # keep the output of libraries out of the results
    run = TRAINERS[FLAGS.trainer]()
    for line in sys.stdin:
        print(json.dumps(run(int(line))), file=answers, flush=True)


if __name__ == "__main__":
    run_main(main)
