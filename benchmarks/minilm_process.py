"""One side of benchmarks/minilm.py as a separate process: this project, or transformers in PyTorch.

It reads jobs from its standard input, one JSON object per line, and answers each with a line of JSON. This allows the
two sides to alternate, so that neither computes while the other is timed.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from absl import flags, logging

from ambert_tf.errors import run_main
from ambert_tf.finetuning.fine_tuning_settings import ClassificationSettings
from ambert_tf.finetuning.tokenized_examples import training_plan
from ambert_tf.models.task_config import REGRESSION, TaskConfig
from ambert_tf.tasks import metrics
from ambert_tf.tasks.data_files import file_records, split_files
from ambert_tf.tasks.declaration import Example, Task, Texts
from ambert_tf.tasks.labelled_examples import read_examples
from ambert_tf.tasks.registry import TASKS

FLAGS = flags.FLAGS
flags.DEFINE_string("side", None, "ours or transformers.", required=True)
flags.DEFINE_string("model_dir", None, "Hugging Face directory with the initial weights.", required=True)
flags.DEFINE_integer("batch_size", 32, "Global batch size.")
flags.DEFINE_float("epochs", 3, "Epochs.")
flags.DEFINE_float("learning_rate", 5e-5, "Peak learning rate.")
flags.DEFINE_integer("max_seq_length", 128, "Maximum sequence length.")
flags.DEFINE_integer("max_train", 0, "Maximum examples per split. 0 for all.")
flags.DEFINE_integer("threads", 2, "Threads per operation.")

WARMUP, WEIGHT_DECAY = 0.1, 0.01
TIMED_SEED = 12345
# Trains one epoch and returns its seconds.
Epoch = Callable[[], float]


def examples_of(task: Task, data_dir: str, split: str) -> list[Example]:
    """Returns the examples of a split. Both sides use the same texts and labels."""
    paths = split_files(task, data_dir, split, None)
    labels = [label.name for label in task.labels or ()]
    return read_examples(task, file_records(task, paths, split), split, labels).examples[: FLAGS.max_train or None]


def new_head(outputs: int, seed: int) -> np.ndarray:
    """Returns the initial weights of this project's classification head, [hidden, outputs]."""
    from ambert_tf.conversion.initial import bert_model
    from ambert_tf.models.ambert_backbone import AmbertBackbone
    from ambert_tf.models.classification_heads import ClassificationHeads

    config, _ = bert_model(FLAGS.model_dir, None, None)
    backbone = AmbertBackbone.from_model_config(config, seed=seed)
    heads = ClassificationHeads(backbone, outputs, name="classification_heads")
    heads.build()
    return heads.heads["fine"].kernel.numpy()


class Ours:
    """This project, as run by `run_classifier.py --init_checkpoint=DIRECTORY`."""

    def __init__(self) -> None:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(FLAGS.threads)
        tf.config.threading.set_inter_op_parallelism_threads(FLAGS.threads)

    def settings(self, task: Task, data_dir: str, output_dir: str, seed: int) -> ClassificationSettings:
        """Returns the settings of a run."""
        return ClassificationSettings(
            task_name=task.name, data_dir=data_dir, output_dir=output_dir, init_checkpoint=FLAGS.model_dir,
            do_train=True, do_eval=True, keep_best=False, max_examples=FLAGS.max_train, random_seed=seed,
            max_seq_length=FLAGS.max_seq_length, train_batch_size=FLAGS.batch_size, num_train_epochs=FLAGS.epochs,
            learning_rate=FLAGS.learning_rate, warmup_proportion=WARMUP, save_checkpoints_steps=1_000_000,
            classifier_pooling="cls",  # as in transformers
        )  # fmt: skip

    def run(self, task: Task, data_dir: str, seed: int) -> dict[str, float]:
        """Fine-tunes and evaluates; returns the metrics."""
        from ambert_tf.finetuning.fine_tuning import run_fine_tuning

        with tempfile.TemporaryDirectory() as directory:
            results = run_fine_tuning(self.settings(task, data_dir, directory, seed))
        return {name: results[name] for name in task.metrics}

    def epoch(self, task: Task, data_dir: str) -> Epoch:
        """Returns a function that trains one epoch, after building its graph."""
        from ambert_tf.conversion.initial import bert_model, restore_initial
        from ambert_tf.finetuning.fine_tuning_objective import FineTuningObjective
        from ambert_tf.finetuning.splits import Split
        from ambert_tf.finetuning.tokenized_examples import TokenizedExamples
        from ambert_tf.models.ambert_backbone import AmbertBackbone
        from ambert_tf.models.task_models import make_model
        from ambert_tf.training.distribution import make_strategy
        from ambert_tf.training.learning_rate import WarmupLinearDecay
        from ambert_tf.training.optimizer import AdamW, AdamWSettings
        from ambert_tf.training.settings import TrainingSettings
        from ambert_tf.training.step import TrainFunction

        config, tokenizer = bert_model(FLAGS.model_dir, None, None)
        config = dataclasses.replace(config, classifier_pooling="cls")
        lengths = FLAGS.max_seq_length, FLAGS.max_seq_length
        labels = tuple(label.name for label in task.labels or ())
        fine_tuned = TaskConfig(
            task_name=task.name, form=task.form, labels=labels, pair=task.pair, max_seq_length=lengths[0],
            max_coarse_seq_length=lengths[1],
        )  # fmt: skip
        split = Split("train", (data_dir,), examples_of(task, data_dir, "train"), {})
        data = TokenizedExamples(split, fine_tuned, tokenizer)
        steps = -(-len(data) // FLAGS.batch_size)
        strategy = make_strategy(None)
        with strategy.scope():
            model = make_model(AmbertBackbone.from_model_config(config, seed=TIMED_SEED), fine_tuned)
            restore_initial(model, FLAGS.model_dir, tokenizer)
            objective = FineTuningObjective(model, task.form)
            rate = WarmupLinearDecay(FLAGS.learning_rate, steps * 1000, 1)
            optimizer = AdamW(objective.model.trainable_variables, rate, AdamWSettings(weight_decay=WEIGHT_DECAY))
        function = TrainFunction(strategy, objective, optimizer, TrainingSettings())
        numbers = iter(range(1000))

        def batches() -> Iterator[Any]:
            plan = training_plan(data.lengths, FLAGS.batch_size, steps, next(numbers))
            return iter(strategy.distribute_datasets_from_function(lambda c: data.training_batches(plan, 0, c)))

        def one_epoch() -> float:
            started = time.perf_counter()
            iterator = batches()
            for _ in range(steps):
                function(iterator, 1)
            return time.perf_counter() - started

        function(batches(), min(2, steps))
        return one_epoch


class Transformers:
    """BertForSequenceClassification in a plain PyTorch loop. Batches are padded to their longest sequence."""

    def __init__(self) -> None:
        import torch
        import transformers

        torch.set_num_threads(FLAGS.threads)
        transformers.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        self.torch = torch
        self.transformers = transformers
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(FLAGS.model_dir)

    def tokenized(self, examples: Sequence[Example]) -> list[dict[str, list[int]]]:
        """Returns the model's inputs for each example."""
        rows = [example.inputs for example in examples if isinstance(example.inputs, Texts)]
        pairs = None if rows[0].text_pair is None else [row.text_pair for row in rows]
        found = self.tokenizer(
            [row.text for row in rows], pairs, truncation="longest_first", max_length=FLAGS.max_seq_length,
            return_token_type_ids=True,
        )  # fmt: skip
        return [{name: found[name][index] for name in found} for index in range(len(rows))]

    def padded(self, rows: Sequence[dict[str, list[int]]]) -> dict[str, Any]:
        """Returns a batch."""
        return self.tokenizer.pad(list(rows), return_tensors="pt")

    def make(self, task: Task, seed: int, num_steps: int, warmup: int) -> tuple[Any, Callable[[Any, Any], None]]:
        """Returns a model and a function that trains it on a batch and its labels."""
        torch = self.torch
        torch.manual_seed(seed)
        outputs = 1 if task.form == REGRESSION else len(task.labels or ())
        model = self.transformers.AutoModelForSequenceClassification.from_pretrained(
            FLAGS.model_dir, num_labels=outputs
        )
        with torch.no_grad():
            model.classifier.weight.copy_(torch.tensor(new_head(outputs, seed).T))
            model.classifier.bias.zero_()
        model.train()
        decays = {name: not (name.endswith("bias") or "LayerNorm" in name) for name, _ in model.named_parameters()}
        groups = [
            {"params": [p for name, p in model.named_parameters() if decays[name] == decayed], "weight_decay": decay}
            for decayed, decay in ((True, WEIGHT_DECAY), (False, 0.0))
        ]
        optimizer = torch.optim.AdamW(groups, lr=FLAGS.learning_rate, eps=1e-6, fused=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: step / warmup if step < warmup else max(0.0, 1 - step / num_steps)
        )

        def update(batch: Any, labels: Any) -> None:
            logits = model(**batch).logits
            if task.form == REGRESSION:
                loss = torch.nn.functional.mse_loss(logits[:, 0], labels)
            else:
                loss = torch.nn.functional.cross_entropy(logits, labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()

        return model, update

    def labels(self, task: Task, examples: Sequence[Example]) -> Any:
        """Returns the labels or scores."""
        kind = self.torch.float32 if task.form == REGRESSION else self.torch.long
        return self.torch.tensor([example.label for example in examples], dtype=kind)

    def run(self, task: Task, data_dir: str, seed: int) -> dict[str, float]:
        """Fine-tunes and evaluates; returns the metrics."""
        torch = self.torch
        train, dev = (examples_of(task, data_dir, split) for split in ("train", "dev"))
        rows, labels = self.tokenized(train), self.labels(task, train)
        size = FLAGS.batch_size
        num_steps = max(1, int(np.ceil(len(train) / size * FLAGS.epochs)))
        model, update = self.make(task, seed, num_steps, int(num_steps * WARMUP))
        lengths = np.array([len(row["input_ids"]) for row in rows])
        for chosen in training_plan(lengths, size, num_steps, seed):
            update(self.padded([rows[index] for index in chosen]), labels[torch.as_tensor(chosen)])
        model.eval()
        logits = []
        inputs = self.tokenized(dev)
        with torch.no_grad():
            for start in range(0, len(dev), 64):
                logits.append(model(**self.padded(inputs[start : start + 64])).logits.numpy())
        joined = np.concatenate(logits)
        right = np.array([example.label for example in dev])
        if task.form == REGRESSION:
            low, high = task.score_range or (-np.inf, np.inf)
            return metrics.score(task.metrics, np.clip(joined[:, 0], low, high), right)
        return metrics.score(task.metrics, joined.argmax(axis=-1), right)

    def epoch(self, task: Task, data_dir: str, like_ours: bool = False) -> Epoch:
        """Returns a function that trains one epoch. With `like_ours`, batches are composed like ours."""
        torch = self.torch
        train = examples_of(task, data_dir, "train")
        rows, labels = self.tokenized(train), self.labels(task, train)
        lengths = np.array([len(row["input_ids"]) for row in rows])
        steps = -(-len(train) // FLAGS.batch_size)
        _, update = self.make(task, TIMED_SEED, steps * 1000, 1)
        numbers = iter(range(1000))

        def plan() -> np.ndarray:
            number = next(numbers)
            if like_ours:
                return training_plan(lengths, FLAGS.batch_size, steps, number)
            order = np.random.default_rng(number).permutation(len(train))
            return np.resize(order, (steps, FLAGS.batch_size))

        def train_on(batches: np.ndarray) -> None:
            for chosen in batches:
                update(self.padded([rows[index] for index in chosen]), labels[torch.as_tensor(chosen)])

        def one_epoch() -> float:
            started = time.perf_counter()
            train_on(plan())
            return time.perf_counter() - started

        train_on(plan()[:2])
        return one_epoch


def main(argv: Sequence[str]) -> None:
    """Runs the jobs from standard input."""
    del argv
    logging.set_verbosity(logging.WARNING)
    side: Any = Ours() if FLAGS.side == "ours" else Transformers()
    epochs: dict[str, Epoch] = {}
    for line in sys.stdin:
        job = json.loads(line)
        task = TASKS[job["task"]]
        if "seed" in job:
            answer: Any = side.run(task, job["data_dir"], job["seed"])
        else:
            kind = job["batches"]
            if kind not in epochs:
                arguments = {"like_ours": True} if kind == "like ours" else {}
                epochs[kind] = side.epoch(task, job["data_dir"], **arguments)
            answer = epochs[kind]()
        print("answer " + json.dumps(answer), flush=True)


if __name__ == "__main__":
    run_main(main)
