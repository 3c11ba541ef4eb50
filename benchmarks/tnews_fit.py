"""Compares accuracy and time per step of `AmbertTextClassifier.fit` and of run_classifier.py's training loop on TNEWS.

    python benchmarks/tnews_fit.py --data_dir=/data [--train_examples=4096] [--dev_examples=2048] [--config=tiny]

Both train an AMBERT from scratch: the same files, initial weights, batch size, epochs, learning rate schedule and loss.
Only the order of the examples and the dropout differ. The two alternate, seed by seed. Prints the accuracy of each seed
and the median seconds per step with their ratio, without the first step, which traces the graph. `fit` tokenizes in
each epoch, run_classifier.py once, before the first step.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import json
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import flags, logging
from common import machine, make_tokenizer, ratio_line, write
from places import PLACES

from ambert_tf.errors import run_main

FLAGS = flags.FLAGS
flags.DEFINE_string("data_dir", None, "Directory with the tasks' files, in the layout of benchmarks/places.py.")
flags.DEFINE_integer("train_examples", 4096, "Training examples; a multiple of --batch_size.")
flags.DEFINE_integer("dev_examples", 2048, "Development examples.")
flags.DEFINE_string("config", "tiny", "Model size.")
flags.DEFINE_integer("max_seq_length", 64, "Maximum fine tokens per sequence.")
flags.DEFINE_integer("batch_size", 32, "Batch size.")
flags.DEFINE_integer("epochs", 5, "Epochs.")
flags.DEFINE_float("learning_rate", 1e-3, "Peak learning rate.")
flags.DEFINE_integer("seeds", 3, "Number of seeds.")
flags.mark_flag_as_required("data_dir")

WINDOW = 10  # steps per measured time
WARMUP_PROPORTION = 0.1


def engine_settings(directory: str, seed: int) -> Any:
    """Returns the settings of run_classifier.py for one seed."""
    from ambert_tf.finetuning.fine_tuning_settings import ClassificationSettings

    (place,) = (place for place in PLACES if place.task == "tnews")
    return ClassificationSettings(
        task_name=place.task, data_dir=os.path.join(FLAGS.data_dir, place.directory), train_file=place.train,
        eval_file=place.dev, tokenizer_dir=os.path.join(directory, "tokenizer"), config=FLAGS.config,
        output_dir=os.path.join(directory, f"seed{seed}"), do_train=True, do_eval=True, keep_best=False,
        max_examples=FLAGS.train_examples, max_eval_examples=FLAGS.dev_examples, max_seq_length=FLAGS.max_seq_length,
        train_batch_size=FLAGS.batch_size, num_train_epochs=FLAGS.epochs, learning_rate=FLAGS.learning_rate,
        warmup_proportion=WARMUP_PROPORTION, random_seed=seed, log_steps=WINDOW, save_checkpoints_steps=1_000_000,
    )  # fmt: skip


def texts_and_labels(settings: Any, split: str) -> tuple[list[str], list[int]]:
    """Returns a split as run_classifier.py reads it."""
    from ambert_tf.finetuning.fine_tuning import make_form, read_split
    from ambert_tf.finetuning.splits import SplitReader
    from ambert_tf.models.task_config import TaskConfig
    from ambert_tf.tasks.registry import TASKS

    task = TASKS[settings.task_name]
    form = make_form(task, TaskConfig.read(settings.output_dir))
    examples = read_split(SplitReader(task, settings), split, form).examples
    return [example.inputs.text for example in examples], [example.label for example in examples]


def with_engine(settings: Any) -> tuple[float, list[float]]:
    """Trains with run_classifier.py's function; returns the accuracy and the seconds per step of each window."""
    from ambert_tf.finetuning.fine_tuning import run_fine_tuning

    accuracy = run_fine_tuning(settings)["accuracy"]
    with open(os.path.join(settings.output_dir, "metrics.jsonl"), encoding="utf-8") as file:
        rates = [json.loads(line).get("sequences_per_second") for line in file]
    return accuracy, [settings.train_batch_size / rate for rate in rates if rate]


def with_fit(settings: Any) -> tuple[float, list[float]]:
    """Trains with `fit`; returns the same as `with_engine`, which must have run before."""
    import keras

    import ambert_tf
    from ambert_tf.models.bert_optimizer import BertAdamW, BertLearningRate
    from ambert_tf.models.config import ModelConfig
    from ambert_tf.models.task_config import TaskConfig

    times: list[float] = []
    keras.utils.set_random_seed(settings.random_seed)
    task = TaskConfig.read(settings.output_dir)
    tokenizer = ambert_tf.AmbertTokenizer(settings.tokenizer_dir)
    config = ModelConfig.from_file(os.path.join(settings.output_dir, "config.json"))
    classifier = ambert_tf.AmbertTextClassifier(
        ambert_tf.AmbertBackbone.from_model_config(config, seed=settings.random_seed),
        task.num_outputs,
        ambert_tf.AmbertTextClassifierPreprocessor(tokenizer, task.max_seq_length, task.max_coarse_seq_length),
    )
    classifier.compile(BertAdamW(BertLearningRate(settings.learning_rate, WARMUP_PROPORTION)))
    clock = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: times.append(time.perf_counter()))
    classifier.fit(
        *texts_and_labels(settings, "train"),
        batch_size=settings.train_batch_size,
        epochs=int(settings.num_train_epochs),
        verbose=0,
        callbacks=[clock],
    )
    accuracy = classifier.evaluate(*texts_and_labels(settings, "dev"), batch_size=64, verbose=0, return_dict=True)
    return accuracy["sparse_categorical_accuracy"], list(np.diff(times[::WINDOW]) / WINDOW)


def main(argv: Sequence[str]) -> None:
    """Trains with each seed and prints accuracies, times and their ratio."""
    del argv
    logging.set_verbosity(logging.WARNING)
    print(machine())
    columns = ("run_classifier.py", "fit")
    accuracies: list[tuple[float, float]] = []
    seconds: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as directory:
        write_tokenizer(directory)
        print(f"{'seed':<6}{columns[0]:>19}{columns[1]:>8}   accuracy, {FLAGS.dev_examples} examples")
        for seed in range(1, FLAGS.seeds + 1):
            settings = engine_settings(directory, seed)
            (ours, our_times), (keras_accuracy, keras_times) = with_engine(settings), with_fit(settings)
            accuracies.append((ours, keras_accuracy))
            seconds.append((float(np.median(our_times)), float(np.median(keras_times))))
            print(f"{seed:<6}{ours:>19.3f}{keras_accuracy:>8.3f}", flush=True)
    for number, name in enumerate(columns):
        values = [pair[number] for pair in accuracies]
        deviation = np.std(values, ddof=1) if len(values) > 1 else 0.0
        print(f"{name}: accuracy {np.mean(values):.3f}, standard deviation {deviation:.3f}")
    engine_seconds, fit_seconds = zip(*seconds, strict=True)
    for name, times in zip(columns, (engine_seconds, fit_seconds), strict=True):
        print(f"{name}: {1000 * np.median(times):.1f} ms per step")
    print(ratio_line("time per step of fit", fit_seconds, engine_seconds).replace("the baseline's", columns[0] + "'s"))


def write_tokenizer(directory: str) -> None:
    """Writes a tokenizer whose vocabulary comes from the training file."""
    settings = engine_settings(directory, 0)
    with open(os.path.join(settings.data_dir, settings.train_file), encoding="utf-8") as file:
        titles = [json.loads(line)["sentence"] for line in file]
    corpus = write(os.path.join(directory, "titles.txt"), "\n\n".join(titles).encode())
    make_tokenizer(corpus, os.path.join(directory, "tokenizer"), None)


if __name__ == "__main__":
    run_main(main)
