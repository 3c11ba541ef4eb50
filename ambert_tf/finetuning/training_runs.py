"""Trains one run, or several with different seeds, learning rates and batch sizes, and keeps the best model."""

import collections
import dataclasses
import functools
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from ambert_tf.conversion.initial import restore_initial
from ambert_tf.errors import InputError
from ambert_tf.files import is_directory, is_file
from ambert_tf.finetuning.best_checkpoint import (
    TRAINING_FILE,
    BestCheckpoint,
    check_same_training,
    discard_best,
    read_finished,
    write_finished,
)
from ambert_tf.finetuning.evaluation import evaluation_scores
from ambert_tf.finetuning.fine_tuning_objective import FineTuningObjective
from ambert_tf.finetuning.fine_tuning_settings import FineTuningSettings
from ambert_tf.finetuning.form import Form
from ambert_tf.finetuning.prediction import Predictor
from ambert_tf.finetuning.tokenized_examples import TokenizedExamples, training_plan
from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.config import ModelConfig
from ambert_tf.models.task_config import TASK_FILE
from ambert_tf.models.task_models import make_model
from ambert_tf.outputs import make_directory, remove
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.checkpoints import check_model_directory, has_checkpoint, prepare_model_directory
from ambert_tf.training.cluster import is_chief
from ambert_tf.training.precision import POLICIES
from ambert_tf.training.trainer import TRAINING_DATA, Trainer

RUNS_DIRECTORY = "runs"
# Copied from the best run to the output directory.
KEPT = ("checkpoints", TRAINING_FILE, "metrics.jsonl")
SETTINGS_OF_A_TRAINING = (
    "learning_rate", "train_batch_size", "num_train_epochs", "random_seed", "agreement_weight", "init_checkpoint",
    "optimizer", "learning_rate_schedule", "weight_decay", "bias_correction", "dropout", "warmup_proportion",
    "agreement_of", "agreement_squared", "use_fp16", "use_bf16",
)  # fmt: skip
# Without --do_eval, no checkpoint is selected.
SETTINGS_OF_A_SELECTION = ("keep_best", "early_stopping_patience")
# They say less than the digest of the data, which older versions did not write.
SETTINGS_OF_THE_DATA = ("train_file", "max_examples", "data_source")


def train_runs(
    settings: FineTuningSettings,
    strategy: tf.distribute.Strategy,
    config: ModelConfig,
    tokenizer: MultiGrainedTokenizer,
    form: Form,
    train: TokenizedExamples,
    dev: TokenizedExamples | None,
) -> dict[str, Any]:
    """Trains one or several runs and keeps the best model in `output_dir`.

    Args:
      settings: the program's settings.
      strategy: the distribution strategy.
      config: the model's configuration.
      tokenizer: the model's tokenizer.
      form: the form of the task.
      train: training data.
      dev: data to evaluate at each checkpoint, or None for no evaluation.

    Returns:
      Statistics of several runs: `count`; `metric`, which selects the best run; the best `settings`; `mean`, sample
      standard `deviation` and `values` of the runs with these settings; and `all` runs. Empty for a single run and on
      workers other than the chief.

    Raises:
      InputError: the directory contains a model trained with other settings, or a loss is not finite.
    """
    plans = run_settings(settings)
    # All are compared before anything is written, so that the directory of other runs remains as it is.
    for directory in dict.fromkeys((settings.output_dir, *(plan.output_dir for plan in plans))):
        _check_directory(directory, config, tokenizer, form)
    _check_finished(settings.output_dir, plans, train)
    unfinished = [plan for plan in plans if _finished(plan, train) is None]
    if is_chief(strategy):
        _prepare_directory(settings.output_dir, config, tokenizer, form, finished=not unfinished)
    if len(plans) == 1:
        train_once(plans[0], strategy, config, tokenizer, form, train, dev)
        return {}
    found = []
    for number, plan in enumerate(plans, 1):
        logging.info("run %d of %d: %s", number, len(plans), os.path.basename(plan.output_dir))
        if is_chief(strategy):
            _prepare_directory(plan.output_dir, config, tokenizer, form, finished=plan not in unfinished)
        facts = train_once(plan, strategy, config, tokenizer, form, train, dev)
        found.append({"directory": os.path.relpath(plan.output_dir, settings.output_dir), **facts})
    return _keep_best(settings.output_dir, found) if is_chief(strategy) else {}


def _check_directory(directory: str, config: ModelConfig, tokenizer: MultiGrainedTokenizer, form: Form) -> None:
    """Raises an InputError if a directory contains a pre-trained model, or one with another task or tokenizer."""
    if not (has_checkpoint(directory) or is_directory(os.path.join(directory, RUNS_DIRECTORY))):
        return  # of a run that ended before its first checkpoint
    if has_checkpoint(directory) and not is_file(os.path.join(directory, TASK_FILE)):
        raise InputError(f"--output_dir={directory}: contains a pre-trained model; choose another directory")
    form.config.check_same(directory)
    check_model_directory(directory, config, tokenizer)


def _prepare_directory(
    directory: str, config: ModelConfig, tokenizer: MultiGrainedTokenizer, form: Form, finished: bool
) -> None:
    """Writes everything of a model directory but its weights, so that a run that is interrupted can be evaluated."""
    prepare_model_directory(directory, config, tokenizer)
    task_file = os.path.join(directory, TASK_FILE)
    if not has_checkpoint(directory) and is_file(task_file):
        remove(task_file)
    form.config.write(directory)
    if not finished:
        form.write_facts(directory)


def _wanted(settings: FineTuningSettings, train: TokenizedExamples) -> dict[str, Any]:
    """Returns what defines a training: its settings and its data."""
    names = (*SETTINGS_OF_A_TRAINING, *SETTINGS_OF_THE_DATA, *(SETTINGS_OF_A_SELECTION if settings.do_eval else ()))
    return {**{name: getattr(settings, name) for name in names}, TRAINING_DATA: train.digest}


def _finished(settings: FineTuningSettings, train: TokenizedExamples) -> dict[str, Any] | None:
    """Returns the contents of `training.json`, or None if training has not finished.

    Raises:
      InputError: it is of a training with other settings or data.
    """
    finished = read_finished(settings.output_dir)
    if finished is not None:
        wanted = _wanted(settings, train)
        for name in SETTINGS_OF_THE_DATA if TRAINING_DATA in finished else ():
            del wanted[name]
        check_same_training(settings.output_dir, finished, wanted)
    return finished


def _check_finished(output_dir: str, plans: Sequence[FineTuningSettings], train: TokenizedExamples) -> None:
    """Checks that a finished model in the output directory, which the best run replaces, is one of the runs.

    Raises:
      InputError: it is of a training with other settings or data.
    """
    finished = read_finished(output_dir)
    if finished is not None:
        # The error is about the run that has most in common with the model.
        plan = min(
            plans, key=lambda plan: sum(finished.get(name) != value for name, value in _wanted(plan, train).items())
        )
        _finished(dataclasses.replace(plan, output_dir=output_dir), train)


def run_settings(settings: FineTuningSettings) -> list[FineTuningSettings]:
    """Returns the settings of each run: all combinations of learning rates, batch sizes and seeds."""
    plans = []
    for rate, shown in _names(settings.learning_rates).items():
        for size in settings.batch_sizes:
            for seed in range(settings.random_seed, settings.random_seed + settings.num_runs):
                name = f"learning_rate{shown}-batch{size}-seed{seed}"
                directory = os.path.join(settings.output_dir, RUNS_DIRECTORY, name)
                plans.append(dataclasses.replace(
                    settings, learning_rate=rate, train_batch_size=size, random_seed=seed, output_dir=directory
                ))  # fmt: skip
    return [dataclasses.replace(plans[0], output_dir=settings.output_dir)] if len(plans) == 1 else plans


def _names(rates: Sequence[float]) -> dict[float, str]:
    """Returns a short name for each learning rate, or its exact value if another one has the same short name."""
    short = {rate: f"{rate:g}" for rate in rates}
    counts = collections.Counter(short.values())
    return {rate: name if counts[name] == 1 or float(name) == rate else repr(rate) for rate, name in short.items()}


def train_once(
    settings: FineTuningSettings,
    strategy: tf.distribute.Strategy,
    config: ModelConfig,
    tokenizer: MultiGrainedTokenizer,
    form: Form,
    train: TokenizedExamples,
    dev: TokenizedExamples | None,
) -> dict[str, Any]:
    """Trains with eq. (2), resuming from the latest checkpoint in `output_dir` if there is one.

    Checkpoints are written to `output_dir`, by default one per epoch. At each checkpoint, the development set is
    evaluated and the results are appended to `metrics.jsonl`. Finally, only the best checkpoint is kept. A finished run
    is not repeated.

    Returns:
      The contents of `training.json`: settings, last and best step, and the best value of the task's metric.
    """
    finished = _finished(settings, train)
    if finished is not None:
        logging.warning("%s: training has already finished", settings.output_dir)
        return finished
    num_train_steps = settings.num_train_steps(len(train))
    plan = training_plan(train.lengths, settings.train_batch_size, num_train_steps, settings.random_seed)
    started = time.time()

    def make_objective() -> FineTuningObjective:
        backbone = AmbertBackbone.from_model_config(
            settings.training_config(config),
            seed=settings.random_seed,
            static_shapes=settings.use_xla,
            dtype=POLICIES[settings.precision],
        )
        return FineTuningObjective(make_model(backbone, form.config), form.config.form, **settings.agreement)

    trainer = Trainer(
        settings,
        strategy,
        make_objective,
        num_train_steps,
        settings.num_warmup_steps(len(train)),
        functools.partial(
            restore_initial, tokenizer=tokenizer, do_lower_case=settings.do_lower_case, **settings.bert_files
        ),
        training_data=train.digest,
    )
    model, metric = trainer.objective.model, form.task.metrics[0]
    predictor = Predictor(model)
    if trainer.step == 0 and is_chief(strategy):
        discard_best(settings.output_dir)
    keeps_best = dev is not None and settings.keep_best and is_chief(strategy)
    best = BestCheckpoint(settings.output_dir, model, metric, settings.early_stopping_patience) if keeps_best else None
    if settings.early_stopping_patience and (best is None or strategy.cluster_resolver is not None):
        raise InputError("--early_stopping_patience: needs --keep_best and one worker")
    last: dict[str, float] = {}

    def evaluate(step: int) -> Mapping[str, Any]:
        if dev is None:
            return {}
        logits = predictor(dev, settings.eval_batch_size)
        results = evaluation_scores(form, logits, dev, settings.agreement, ("joint",))
        if best is not None:
            best.add(step, results)
        last.update(results)
        return results

    trainer.train(
        lambda step, context: train.training_batches(plan, step, context),
        evaluate,
        describe_batch=lambda step: train.describe(plan[step]),
        save_checkpoints_steps=settings.steps_per_epoch(len(train)),
        should_stop=lambda: best is not None and best.stop,
    )
    if (best is None or best.value is None) and not last and is_chief(strategy):
        evaluate(num_train_steps)  # the run was resumed at its last checkpoint
    facts = {
        **_wanted(settings, train),
        "num_train_steps": num_train_steps,
        "last_step": int(trainer.optimizer.step.numpy()),
        "seconds": time.time() - started,
    }
    if best is not None and best.value is not None:
        facts.update(metric=metric, best_step=best.step, best=best.value)
        best.finish(settings.output_dir, facts)
        return facts
    if last:
        facts.update(metric=metric, best_step=facts["last_step"], best=last[metric])
    if is_chief(strategy):
        discard_best(settings.output_dir)  # of an interrupted run that evaluated
        write_finished(settings.output_dir, facts)
    return facts


def copy_directory(source: str, target: str) -> None:
    """Copies a local or remote directory, replacing `target`."""
    if is_directory(target):
        tf.io.gfile.rmtree(target)
    for directory, _, names in tf.io.gfile.walk(source):
        copied = target + directory.removeprefix(source)
        make_directory(copied)
        for name in names:
            tf.io.gfile.copy(os.path.join(directory, name), os.path.join(copied, name))


def _keep_best(output_dir: str, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Copies the best run's model to `output_dir` and returns the statistics of all runs."""
    by_settings: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for run in runs:
        by_settings.setdefault((run["learning_rate"], run["train_batch_size"]), []).append(run)
    (rate, size), chosen = max(by_settings.items(), key=lambda item: float(np.mean([run["best"] for run in item[1]])))
    best = max(chosen, key=lambda run: run["best"])
    discard_best(output_dir)
    for name in KEPT:
        source, target = os.path.join(output_dir, best["directory"], name), os.path.join(output_dir, name)
        if is_directory(source):
            copy_directory(source, target)
        elif is_file(source):
            tf.io.gfile.copy(source, target, overwrite=True)
    values = [run["best"] for run in chosen]
    logging.info("%d runs; the best is %s", len(runs), best["directory"])
    return {
        "count": len(values),
        "metric": best["metric"],
        "settings": {"learning_rate": rate, "train_batch_size": size},
        "mean": float(np.mean(values)),
        "deviation": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
        "values": values,
        "all": list(runs),
    }
