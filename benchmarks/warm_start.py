"""Measures the effect of a coarse grain: fine-tunes MiniLM and an AMBERT initialized from it on GLUE tasks.

    python benchmarks/warm_start.py --data_dir=/data --english_corpora='/data/corpus_en/*.txt' [--tasks=rte,mrpc]

Phrases are built from the corpora with KenLM, the fine vocabulary is MiniLM's, and each coarse embedding is initialized
to the mean of its fine pieces' embeddings (docs/warm-start.md). Both models are pre-trained further on the corpora, for
the same number of steps. AMBERT sees both grains of a sequence, and BERT the fine one. Then the benchmark fine-tunes
MiniLM without further pre-training, MiniLM after it, and AMBERT, with the settings of benchmarks/minilm.py. For AMBERT,
the joint, fine and coarse heads are reported. Everything runs through the commands that users run.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import minilm
import numpy as np
from absl import flags
from common import corpus_text, machine, run_command, write

from ambert_tf.errors import InputError, run_main
from ambert_tf.files import input_files
from ambert_tf.tasks.registry import TASKS

FLAGS = flags.FLAGS
flags.DEFINE_string("english_corpora", None, "English text files for phrases, vocabulary and further pre-training.")
flags.DEFINE_integer("pretraining_steps", 500, "Steps of further pre-training.")
flags.DEFINE_integer("pretraining_batch_size", 32, "Global batch size of further pre-training.")
flags.DEFINE_float("pretraining_rate", 5e-5, "Peak learning rate of further pre-training.")
flags.DEFINE_bool("use_bf16", False, "Pre-train in bfloat16.")

GRAINS = ("joint", "fine", "coarse")


def run(script: str, *arguments: str) -> None:
    """Runs a command of the project and prints its duration."""
    seconds = run_command([sys.executable, script, *arguments]).wall_seconds
    shown = " ".join(argument for argument in arguments if "/" not in argument)  # without local paths
    print(f"  {script} {shown}: {seconds:.0f} s", flush=True)


def model_name() -> str:
    """Returns the name of the model from which the others are initialized: that of --model_dir."""
    return os.path.basename(os.path.abspath(FLAGS.model_dir)) if FLAGS.model_dir else "MiniLM"


def read_json(directory: str, name: str) -> dict[str, Any]:
    """Returns the contents of a JSON file."""
    with open(os.path.join(directory, name), encoding="utf-8") as file:
        return json.load(file)


def make_models(directory: str, weights: str) -> dict[str, str]:
    """Creates tokenizer, records and further pre-trained models. Returns the directories to fine-tune, by name."""
    text = corpus_text(input_files(FLAGS.english_corpora, "english_corpora"))
    corpus = write(os.path.join(directory, "corpus.txt"), text)
    phrases, tokenizer, records = (os.path.join(directory, name) for name in ("phrases.tsv", "tokenizer", "records"))
    run("data/build_phrase_dictionary.py", f"--input_file={corpus}", f"--output_file={phrases}")
    run("data/build_vocab.py", f"--input_file={corpus}", "--language=en", f"--output_dir={tokenizer}",
        f"--phrases_file={phrases}", f"--fine_vocab_file={weights}/vocab.txt")  # fmt: skip
    run("data/create_pretraining_data.py", f"--input_file={corpus}", f"--tokenizer_dir={tokenizer}",
        f"--output_file={records}/part", "--max_seq_length=128", "--masking=dynamic")  # fmt: skip
    stats = read_json(records, "stats.json")
    share = stats["share_of_coarse_tokens_of_several_fine"]
    print(f"  {stats['sequences']:,} sequences; {share:.1%} of the coarse tokens have more than one fine token")
    models = {model_name(): weights}
    for model_type, name in (("bert_fine", f"{model_name()}, further pre-trained"), ("ambert", "AMBERT")):
        start, models[name] = (os.path.join(directory, f"{model_type}{end}") for end in ("_start", ""))
        run("convert_checkpoint.py", "--from_format=huggingface", f"--input={weights}", "--to_format=ambert",
            f"--model_type={model_type}", f"--tokenizer_dir={tokenizer}", f"--output={start}")  # fmt: skip
        run("run_pretraining.py", f"--input_file={records}/part*", f"--tokenizer_dir={tokenizer}",
            f"--init_checkpoint={start}", f"--config={start}/config.json", f"--output_dir={models[name]}",
            f"--num_train_steps={FLAGS.pretraining_steps}", f"--train_batch_size={FLAGS.pretraining_batch_size}",
            f"--learning_rate={FLAGS.pretraining_rate}", f"--use_bf16={FLAGS.use_bf16}", "--group_by_length=16",
            f"--log_steps={max(1, FLAGS.pretraining_steps // 10)}")  # fmt: skip
        with open(os.path.join(models[name], "metrics.jsonl"), encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        for line in (lines[0], lines[-1]):
            values = ", ".join(f"{key} {line[key]:.3f}" for key in line if key.endswith(("_loss", "_accuracy")))
            print(f"    step {line['step']}: {values}", flush=True)
    return models


def fine_tune(task: str, model: str, seed: int, directory: str) -> dict[str, Any]:
    """Fine-tunes a model on a task and returns the results."""
    output = os.path.join(directory, "fine_tuned", f"{task}-{os.path.basename(model)}-{seed}")
    run_command([
        sys.executable, "run_classifier.py", f"--task_name={task}", f"--output_dir={output}", "--do_train", "--do_eval",
        f"--data_dir={os.path.abspath(FLAGS.data_dir)}/{minilm.DIRECTORIES[task]}", f"--init_checkpoint={model}",
        "--nokeep_best", f"--random_seed={seed}", f"--max_examples={FLAGS.max_train}", "--warmup_proportion=0.1",
        f"--max_seq_length={FLAGS.max_seq_length}", f"--train_batch_size={FLAGS.batch_size}",
        f"--num_train_epochs={FLAGS.epochs}", f"--learning_rate={FLAGS.learning_rate}",
        "--save_checkpoints_steps=1000000",
    ])  # fmt: skip
    return read_json(output, "eval_results.json")


def compare(task: str, models: dict[str, str], directory: str) -> None:
    """Prints one line per model and head, with the task's first metric in points by seed."""
    metric = TASKS[task].metrics[0]
    plain: float | None = None
    for name, model in models.items():
        begun = time.perf_counter()
        results = [fine_tune(task, model, minilm.FIRST_SEED + number, directory) for number in range(FLAGS.seeds)]
        seconds = (time.perf_counter() - begun) / FLAGS.seeds
        for head in GRAINS if name == "AMBERT" else ("",):
            values = [100 * result[f"{head}_{metric}" if head else metric] for result in results]
            plain = float(np.mean(values)) if plain is None else plain
            print(f"| {task} | {metric} | {name} {head} | {' '.join(f'{value:.1f}' for value in values)} | "
                  f"{np.mean(values):.2f} | {np.mean(values) - plain:+.2f} | {seconds:.0f} |", flush=True)  # fmt: skip


def main(argv: Sequence[str]) -> None:
    """Prints the pre-training results and the table."""
    del argv
    for flag in ("data_dir", "english_corpora"):
        if not FLAGS[flag].value:
            raise InputError(f"--{flag} is needed")
    minilm.check_tasks()
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as directory:
        weights = minilm.with_dropout(minilm.model_directory(), FLAGS.dropout, directory)
        models = make_models(directory, weights)
        print(f"| task | metric | model | seeds | mean | minus {model_name()} | seconds per run |", flush=True)
        print("|---|---|---|---|---|---|---|", flush=True)
        for task in FLAGS.tasks:
            compare(task, models, directory)


if __name__ == "__main__":
    run_main(main)
