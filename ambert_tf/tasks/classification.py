"""Fine-tuning, evaluation and prediction of classifiers: what `run_classifier.py` does."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import logging

from ambert_tf.errors import InputError
from ambert_tf.files import make_directory
from ambert_tf.modeling.classification_model import inference_config
from ambert_tf.modeling.config import ModelConfig
from ambert_tf.tasks.classification_results import (
    CONFUSION_LABELS,
    confusion_table,
    probabilities_of,
    scores,
    write_eval_results,
    write_leaderboard_file,
    write_predictions,
)
from ambert_tf.tasks.classification_settings import ClassificationSettings
from ambert_tf.tasks.classification_training import train_classifier
from ambert_tf.tasks.declaration import ClassificationTask, Example
from ambert_tf.tasks.labels import find_labels
from ambert_tf.tasks.new_model import initial_model
from ambert_tf.tasks.prediction import Predictor
from ambert_tf.tasks.readers import read_examples, split_file
from ambert_tf.tasks.registry import find_task
from ambert_tf.tasks.tokenized import TokenizedExamples
from ambert_tf.tokenization.model_inputs import check_seq_lengths
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.checkpoints import is_model_directory, prepare_model_directory
from ambert_tf.training.classifiers import Classifier, load_classifier
from ambert_tf.training.cluster import is_chief
from ambert_tf.training.fine_tuned import FineTunedTask, is_fine_tuned, read_task
from ambert_tf.training.trainer import strategy_for

NO_AUGMENTATION = "none"


def run_classifier(settings: ClassificationSettings) -> dict[str, Any]:
    """Fine-tunes, evaluates and predicts, as far as the settings say.

    After training, `output_dir` is a model directory with `task.json`. Evaluation and prediction run the model of
    `output_dir`, or without --do_train that of `init_checkpoint` if there is none, in float32: what is exported
    predicts the same. They write `eval_results.json`, `eval_results.txt`, `predictions.json` and the
    leaderboard file.

    Returns:
      The evaluation's results; empty without --do_eval, and for workers that write nothing.

    Raises:
      InputError: a setting or a file is wrong, or a loss is not finite.
    """
    settings.validate()
    task = find_task(settings.task_name)
    strategy = strategy_for(settings, training=settings.do_train)
    files = _Files(task, settings)
    loaded: MultiGrainedTokenizer | None = None
    # Everything is read before anything is trained, so that a wrong line shows at once.
    if settings.do_train:
        config, tokenizer = initial_model(settings)
        loaded = tokenizer
        inference_config(config, settings.inference)
        fine_tuned = _fine_tuned_task(settings, task, files, config)
    else:
        fine_tuned = read_task(_trained_directory(settings), "output_dir")
        if fine_tuned.task_name != task.name:
            raise InputError(
                f"--task_name={settings.task_name}: the model in {_trained_directory(settings)} was fine-tuned on "
                f"{fine_tuned.task_name}"
            )
    examples = {split: files.read(split, fine_tuned) for split in ("train", "dev", "test") if files.wanted[split]}
    if settings.do_train:
        if is_chief(strategy):
            prepare_model_directory(settings.output_dir, config, tokenizer)
            fine_tuned.write(settings.output_dir)
        train_classifier(settings, strategy, config, fine_tuned, tokenizer, examples["train"], examples.get("dev"))
    if not is_chief(strategy):
        return {}
    make_directory(settings.output_dir)
    results: dict[str, Any] = {}
    if settings.do_eval or settings.do_predict:
        directory = _trained_directory(settings)
        classifier = load_classifier(directory, settings.inference, "output_dir", loaded)
        if settings.do_eval:
            results = _evaluate(settings, classifier, examples["dev"], files.paths["dev"])
        if settings.do_predict:
            _predict(settings, task, classifier, examples["test"])
    return results


class _Files:
    """The files that a run reads.

    Attributes:
      wanted: by split, whether the run reads it.
      paths: by split, the file of those that it reads.
    """

    def __init__(self, task: ClassificationTask, settings: ClassificationSettings) -> None:
        self.task = task
        self.settings = settings
        self.wanted = {"train": settings.do_train, "dev": settings.do_eval, "test": settings.do_predict}
        names = {"train": settings.train_file, "dev": settings.eval_file, "test": settings.predict_file}
        self.paths = {
            split: split_file(task, settings.data_dir, split, names[split])
            for split, wanted in self.wanted.items()
            if wanted
        }

    def read(self, split: str, fine_tuned: FineTunedTask) -> list[Example]:
        augment = fine_tuned.data_augmentation != NO_AUGMENTATION
        path = self.paths[split]
        examples = read_examples(self.task, path, split, fine_tuned.labels, augment, needs_labels=split != "test")
        logging.info("%s: %d examples", path, len(examples))
        return examples


def _fine_tuned_task(
    settings: ClassificationSettings, task: ClassificationTask, files: _Files, config: ModelConfig
) -> FineTunedTask:
    labels = find_labels(task, settings.data_dir, files.paths["train"])
    described = all(label.description for label in labels)
    fine, coarse = check_seq_lengths(settings.max_seq_length, settings.max_coarse_seq_length)
    augmentation = task.augmentation if settings.data_augmentation else None
    single = {"ambert_hybrid": ("joint",), "bert_fine": ("fine",), "bert_coarse": ("coarse",)}
    return FineTunedTask(
        task_name=task.name,
        labels=tuple(label.name for label in labels),
        label_descriptions=tuple(label.description for label in labels) if described else (),
        pair=task.pair,
        max_seq_length=fine,
        max_coarse_seq_length=coarse,
        heads=single.get(config.model_type, ("fine", "coarse", "joint")),
        data_augmentation=augmentation or NO_AUGMENTATION,
    )


def _trained_directory(settings: ClassificationSettings) -> str:
    """Returns the model directory that evaluation and prediction run.

    Raises:
      InputError: there is none.
    """
    if is_model_directory(settings.output_dir) and is_fine_tuned(settings.output_dir):
        return settings.output_dir
    if settings.init_checkpoint and is_fine_tuned(settings.init_checkpoint):
        return settings.init_checkpoint
    raise InputError(
        f"--output_dir={settings.output_dir}: holds no fine-tuned model; train one with --do_train, or name one by "
        "--init_checkpoint"
    )


def tokenized(classifier: Classifier, examples: Sequence[Example]) -> TokenizedExamples:
    """Tokenizes examples as a classifier was trained."""
    task = classifier.task
    return TokenizedExamples(classifier.tokenizer, examples, task.max_seq_length, task.max_coarse_seq_length)


def _evaluate(
    settings: ClassificationSettings, classifier: Classifier, examples: Sequence[Example], path: str
) -> dict[str, Any]:
    task = classifier.task
    data = tokenized(classifier, examples)
    logits = Predictor(classifier.model)(data, settings.eval_batch_size)
    step = int(classifier.checkpoint.rsplit("-", 1)[-1])
    results: dict[str, Any] = {"task_name": task.task_name, "step": step, "inference": settings.inference}
    results.update(scores(logits.by_head, data.labels, settings.agreement))
    results["examples_per_second"] = logits.examples_per_second
    results["data_augmentation"] = task.data_augmentation
    results["eval_file"] = os.path.basename(path)
    table: list[str] = []
    if len(task.labels) <= CONFUSION_LABELS:
        table = confusion_table(logits.by_head["joint"].argmax(axis=-1), data.labels, task.labels)
    write_eval_results(settings.output_dir, results, table)
    for name, value in results.items():
        logging.info("%s = %s", name, value)
    return results


def _predict(
    settings: ClassificationSettings, task: ClassificationTask, classifier: Classifier, examples: Sequence[Example]
) -> np.ndarray:
    logits = Predictor(classifier.model)(tokenized(classifier, examples), settings.predict_batch_size)
    probabilities = probabilities_of(logits.by_head["joint"])
    write_predictions(settings.output_dir, examples, probabilities, classifier.task.labels)
    if task.leaderboard_file:
        path = os.path.join(settings.output_dir, task.leaderboard_file)
        write_leaderboard_file(path, classifier.task, examples, probabilities.argmax(axis=-1))
    return probabilities
