r"""Changes one setting of short pre-training at a time, and measures held-out loss and few-label accuracy.

    python benchmarks/tiny_zh.py --output_dir=output/tiny_zh --input_file='corpus_zh/*.txt' --model_types=
    python benchmarks/pretraining_factors.py --output_dir=output/factors --data_dir=output/tiny_zh [--only=masking]

The first command makes corpora, tokenizer, records and initial embeddings. The second pre-trains an AMBERT `tiny` by
the recipe of `ambert_tiny_zh`, with fewer steps, once for each change. With --fine_tuning_seeds, it also fine-tunes
each model on 500 labelled reviews. The held-out records and their masks are the same for all runs. It writes
factors.md: the losses, their differences from the mean of the recipe's seeds, which show what is noise, and the CPU
time, unless the run was interrupted. Run the same command again to resume. Processes with other --only may run at the
same time.
"""

import dataclasses
import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags
from common import corpus_text, machine, write
from places import Place
from study_data import LabelledData
from study_jobs import Jobs, read_json
from study_report import interval, signed

from ambert_tf.errors import InputError, run_main
from ambert_tf.models.config import ModelConfig
from ambert_tf.outputs import atomic_path
from ambert_tf.tokenization.tokenizer import COARSE_VOCAB_FILE, FINE_VOCAB_FILE

FLAGS = flags.FLAGS
BATCH_SIZE, LENGTH, LABELS = 16, 128, 500
# The flags of run_pretraining.py that are the same for all runs unless a run changes them.
RECIPE = {
    "model_type": "ambert", "config": "tiny", "train_batch_size": BATCH_SIZE, "learning_rate": 1.5e-3,
    "learning_rate_schedule": "wsd", "group_by_length": 16, "random_seed": 1,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of pre-training.

    Attributes:
      description: what differs from the recipe.
      flags: flags of run_pretraining.py.
      config: keys of config.json that differ from the preset.
      steps: number of steps, relative to --num_train_steps.
      text: share of the documents to train on.
      length: maximum fine sequence length of the training records.
    """

    description: str
    flags: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    steps: float = 1
    text: float = 1
    length: int = LENGTH


RUNS: dict[str, dict[str, Run]] = {
    "seeds": {
        "recipe": Run("the recipe"),
        "recipe_seed2": Run("the recipe, seed 2", {"random_seed": 2}),
        "recipe_seed3": Run("the recipe, seed 3", {"random_seed": 3}),
        "recipe_half": Run("half as many steps", steps=0.5),
        "recipe_twice": Run("twice as many steps", steps=2),
    },
    "masking": {
        "mask10": Run("10 % masked", {"masked_lm_prob": 0.1}),
        "mask20": Run("20 % masked", {"masked_lm_prob": 0.2}),
        "mask30": Run("30 % masked", {"masked_lm_prob": 0.3}),
        "mask30to15": Run("30 % masked, linearly to 15 %", {"masked_lm_prob": 0.3, "final_masked_lm_prob": 0.15}),
    },
    "optimization": {
        "linear": Run("linear decay", {"learning_rate_schedule": "linear"}),
        "cosine": Run("cosine decay", {"learning_rate_schedule": "cosine"}),
        "rate_half": Run("learning rate 7.5e-4", {"learning_rate": 7.5e-4}),
        "rate_twice": Run("learning rate 3e-3", {"learning_rate": 3e-3}),
        "batch8": Run("batch size 8, twice as many steps", {"train_batch_size": 8}, steps=2),
        "batch32": Run("batch size 32, half as many steps", {"train_batch_size": 32}, steps=0.5),
        "batch32_rate_twice": Run(
            "batch size 32, half as many steps, learning rate 3e-3",
            {"train_batch_size": 32, "learning_rate": 3e-3},
            steps=0.5,
        ),
        "weight_decay": Run("weight decay 0.1", {"weight_decay": 0.1}),
        "lamb": Run("LAMB, learning rate 1e-2", {"optimizer": "lamb", "learning_rate": 1e-2}),
    },
    "model": {
        "dropout": Run("dropout 0.1", {"dropout": 0.1}),
        "layers1": Run("1 layer", config={"num_hidden_layers": 1}),
        "layers4": Run("4 layers", config={"num_hidden_layers": 4}),
        "wide": Run("hidden size 192, 3 heads", config={"hidden_size": 192, "num_attention_heads": 3}),
        "random_attention": Run("random initial attention", config={"attention_initializer": "random"}),
    },
    "text": {
        "length64": Run("sequences of 64 tokens, batch size 32", {"train_batch_size": 32}, length=64),
        "text_half": Run("half of the documents", text=0.5),
        "text_quarter": Run("a quarter of the documents", text=0.25),
    },
}

flags.DEFINE_string("output_dir", None, "Output directory: models, progress.jsonl, factors.md.", required=True)
flags.DEFINE_string("data_dir", None, "Output directory of benchmarks/tiny_zh.py.", required=True)
flags.DEFINE_list("only", list(RUNS), "Groups or names of the runs to add.")
flags.DEFINE_integer("num_train_steps", 1500, "Pre-training steps of the recipe.")
flags.DEFINE_integer("fine_tuning_seeds", 0, f"Runs of fine-tuning with {LABELS} labels after each pre-training.")


class Data:
    """The output of benchmarks/tiny_zh.py, and the records of the runs that change the text."""

    def __init__(self, directory: str, jobs: Jobs) -> None:
        self.directory = directory
        self.jobs = jobs
        self.tokenizer = self.path("tokenizer")
        self.held_out = self.path("held_out_records", "held_out.tfrecord")

    def path(self, *parts: str) -> str:
        """Returns the path of a file.

        Raises:
          InputError: the file does not exist.
        """
        path = os.path.join(self.directory, *parts)
        if not os.path.exists(path):
            raise InputError(f"--data_dir={FLAGS.data_dir}: has no {os.path.join(*parts)}; run benchmarks/tiny_zh.py")
        return path

    def training_flags(self, run: Run) -> list[str]:
        """Returns the flags for the records and the initial embeddings of a run, and writes those that are missing."""
        if run.text == 1 and run.length == LENGTH:
            records, embeddings = self.path("train_records", "train.tfrecord"), self.embeddings(run)
            return [f"--input_file={records}", f"--init_embeddings={embeddings}"]
        name = f"text{run.text:g}_length{run.length}"
        corpus = self.path("corpora", "train.txt")
        if run.text < 1:
            corpus = os.path.join(self.jobs.directory, f"text{run.text:g}.txt")
            self.jobs.make(os.path.basename(corpus), [], lambda: self._write_share(corpus, run.text))
        records = os.path.join(self.jobs.directory, f"{name}_records", "train.tfrecord")
        options = (f"--max_seq_length={run.length}", "--masking=dynamic")
        self.jobs.make_records(name, corpus, self.tokenizer, records, *options)
        return [f"--input_file={records}", f"--init_embeddings={self.embeddings(run, corpus)}"]

    def embeddings(self, run: Run, corpus: str | None = None) -> str:
        """Returns the initial embeddings of a run, from its text and of its hidden size."""
        size = run.config.get("hidden_size")
        if run.text == 1 and size is None:
            return self.path("embeddings.npz")
        name = f"embeddings_text{run.text:g}_size{size or ''}"
        path = os.path.join(self.jobs.directory, f"{name}.npz")
        command = ["data/build_embeddings.py", f"--input_file={corpus or self.path('corpora', 'train.txt')}"]
        options = [f"--embedding_size={size}"] if size else []
        self.jobs.run(name, [*command, f"--tokenizer_dir={self.tokenizer}", f"--output_file={path}", *options])
        return path

    def _write_share(self, path: str, share: float) -> None:
        documents = [each for each in corpus_text([self.path("corpora", "train.txt")]).split(b"\n\n") if each.strip()]
        write(path, b"".join(document + b"\n\n" for document in documents[:: round(1 / share)]))

    def config(self, name: str, run: Run) -> str:
        """Returns the value of --config for a run, and writes config.json unless it is a preset."""
        if not run.config:
            return str(RECIPE["config"])
        sizes = []
        for file_name in (FINE_VOCAB_FILE, COARSE_VOCAB_FILE):
            with open(os.path.join(self.tokenizer, file_name), encoding="utf-8", newline="\n") as file:
                sizes.append(sum(1 for _ in file))
        path = os.path.join(self.jobs.directory, f"{name}.json")
        changes = dict(run.config)
        if "hidden_size" in changes:
            changes["initializer_range"] = round(changes["hidden_size"] ** -0.5, 3)
            changes["intermediate_size"] = 4 * changes["hidden_size"]
        ModelConfig.preset(str(RECIPE["config"]), sizes[0], sizes[1], **changes).to_file(path)
        return path


def pretrain(jobs: Jobs, data: Data, name: str, run: Run) -> dict[str, Any]:
    """Pre-trains a model and returns the record of the job, whose result is that of the held-out records."""
    directory = os.path.join(jobs.directory, name)
    steps = round(FLAGS.num_train_steps * run.steps)
    changed = {
        "num_train_steps": steps, "num_warmup_steps": steps // 10, "save_checkpoints_steps": max(1, steps // 3),
        "log_steps": max(1, steps // 15), "keep_checkpoints": 1, **RECIPE, **run.flags,
        "config": data.config(name, run), "output_dir": directory,
    }  # fmt: skip
    return jobs.run(
        f"pre-train {name}",
        ["run_pretraining.py", *data.training_flags(run), f"--eval_input_file={data.held_out}",
         f"--tokenizer_dir={data.tokenizer}", *(f"--{flag}={value}" for flag, value in changed.items())],
        lambda: read_json(directory, "eval_results.json"),
        resumes=directory,
    )  # fmt: skip


def fine_tune(jobs: Jobs, reviews: LabelledData, name: str, seed: int) -> float:
    """Fine-tunes a pre-trained model on the reviews as `ambert_tiny_zh` in docs/results.md; returns its accuracy."""
    directory = os.path.join(jobs.directory, f"{name}_reviews_{seed}")
    files, _ = reviews.subset(LABELS, seed)
    job = f"fine-tune {name}, seed {seed}"
    if job not in jobs.finished:
        shutil.rmtree(directory, ignore_errors=True)
    record = jobs.run(
        job,
        ["run_classifier.py", "--task_name=reviews", f"--data_dir={reviews.place.directory}", f"--train_file={files}",
         f"--output_dir={directory}", f"--init_checkpoint={os.path.join(jobs.directory, name)}", "--do_train",
         "--do_eval", "--nokeep_best", "--train_batch_size=16", "--num_train_epochs=9.6", "--learning_rate=5e-4",
         f"--max_seq_length={LENGTH}", "--save_checkpoints_steps=1000000", f"--random_seed={seed}"],
        lambda: read_json(directory, "eval_results.json"),
    )  # fmt: skip
    shutil.rmtree(directory, ignore_errors=True)
    return float(record["result"]["accuracy"])


def report(jobs: Jobs) -> str:
    """Returns the table of all runs that have finished."""
    lines = [
        f"{machine()}. {FLAGS.num_train_steps:,} steps of {BATCH_SIZE} sequences unless said otherwise.", "",
        f"| group | change | loss, fine + coarse | difference | CPU minutes | accuracy with {LABELS} labels |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    losses = {name: _losses(jobs, name) for runs in RUNS.values() for name in runs}
    recipe = [sum(losses[name]) for name in ("recipe", "recipe_seed2", "recipe_seed3") if losses[name]]
    for group, runs in RUNS.items():
        for name, run in runs.items():
            if not losses[name]:
                continue
            fine, coarse = losses[name]
            difference = f"{fine + coarse - np.mean(recipe):+.3f}" if recipe else ""
            record = jobs.finished[f"pre-train {name}"]
            minutes = "" if record.get("resumed") else f"{record['processor_seconds'] / 60:.1f}"
            lines.append(
                f"| {group} | {run.description} | {fine + coarse:.3f} ({fine:.3f} + {coarse:.3f}) | {difference} "
                f"| {minutes} | {_accuracy(jobs, name)} |"
            )
    return "\n".join(lines) + "\n"


def _losses(jobs: Jobs, name: str) -> tuple[float, ...]:
    """Returns the held-out losses of a run, or none if it has not finished."""
    record = jobs.finished.get(f"pre-train {name}")
    return tuple(record["result"][f"{grain}_masked_lm_loss"] for grain in ("fine", "coarse")) if record else ()


def _accuracy(jobs: Jobs, name: str) -> str:
    """Returns the accuracy in % and, if the recipe has the same seeds, the paired difference from it."""
    scores = [
        {job.rpartition(" ")[2]: 100 * record["result"]["accuracy"] for job, record in jobs.finished.items()
         if job.startswith(f"fine-tune {each}, ")}
        for each in (name, "recipe")
    ]  # fmt: skip
    own, recipe = scores
    if not own:
        return ""
    shown = interval(list(own.values()))
    paired = [own[seed] - recipe[seed] for seed in own if seed in recipe]
    return f"{shown} ({signed(interval(paired))})" if paired and name != "recipe" else str(shown)


def main(argv: Sequence[str]) -> None:
    """Runs what has not finished, and writes the report after each run."""
    del argv
    chosen = {
        name: run for group, runs in RUNS.items() for name, run in runs.items() if {group, name} & set(FLAGS.only)
    }
    known = {*RUNS, *(name for runs in RUNS.values() for name in runs)}
    if unknown := [name for name in FLAGS.only if name not in known]:
        raise InputError(f"--only={unknown[0]}: unknown run; the groups are {', '.join(RUNS)}")
    directory = os.path.abspath(FLAGS.output_dir)
    os.makedirs(directory, exist_ok=True)
    jobs = Jobs(directory)
    data = Data(os.path.abspath(FLAGS.data_dir), jobs)
    reviews = LabelledData(
        Place("reviews", "zh", data.path("corpora", "reviews"), None, None, LENGTH), os.path.join(directory, "samples")
    )
    for name, run in chosen.items():
        pretrain(jobs, data, name, run)
        for seed in range(1, FLAGS.fine_tuning_seeds + 1):
            fine_tune(jobs, reviews, name, seed)
        jobs = Jobs(directory)  # with what other processes have finished
        path = os.path.join(directory, "factors.md")
        with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.write(report(jobs))
    print(f"wrote {os.path.join(FLAGS.output_dir, 'factors.md')}")


if __name__ == "__main__":
    run_main(main)
