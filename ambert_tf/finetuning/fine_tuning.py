"""Fine-tuning, evaluation and prediction: what `run_classifier.py` and `run_squad.py` do."""

import dataclasses
import os
from typing import Any

from ambert_tf.errors import InputError
from ambert_tf.files import make_directory
from ambert_tf.finetuning.classifiers import load_classifier
from ambert_tf.finetuning.evaluation import evaluate, predict
from ambert_tf.finetuning.fine_tuning_settings import FineTuningSettings
from ambert_tf.finetuning.form import Form, Split
from ambert_tf.finetuning.new_model import initial_model
from ambert_tf.finetuning.sequence_form import SequenceForm
from ambert_tf.finetuning.span_form import SpanForm
from ambert_tf.finetuning.span_settings import SpanSettings
from ambert_tf.finetuning.split_reader import SplitReader, settings_for_task
from ambert_tf.finetuning.training_runs import train_runs
from ambert_tf.models.config import ModelConfig
from ambert_tf.models.inference import inference_config
from ambert_tf.models.task_config import CLASSIFICATION, NO_AUGMENTATION, SPANS, TaskConfig, is_fine_tuned
from ambert_tf.tasks.data_files import find_files
from ambert_tf.tasks.declaration import Label, Task
from ambert_tf.tasks.labels import find_labels
from ambert_tf.tasks.registry import TASKS, find_task
from ambert_tf.tasks.tfds_source import has_split
from ambert_tf.tokenization.model_inputs import check_seq_lengths
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.checkpoints import is_model_directory
from ambert_tf.training.cluster import is_chief
from ambert_tf.training.trainer import strategy_for


def run_fine_tuning(settings: FineTuningSettings) -> dict[str, Any]:
    """Fine-tunes, evaluates and predicts, as far as the settings say.

    After training, `output_dir` is a model directory with `task.json`. Evaluation and prediction run the model of
    `output_dir`, or without --do_train that of `init_checkpoint` if there is none, in float32: what is exported
    predicts the same. They write `eval_results.json`, `eval_results.txt`, `predictions.json` and the
    leaderboard's file; span extraction `nbest_predictions.json` and `null_odds.json` too.

    Returns:
      The evaluation's results; empty without --do_eval, and for workers that write nothing.

    Raises:
      InputError: a setting or a file is wrong, or a loss is not finite.
    """
    task = find_task(settings.task_name, settings.task_file)
    if (task.form == SPANS) != isinstance(settings, SpanSettings):
        program = "run_squad.py" if task.form == SPANS else "run_classifier.py"
        raise InputError(f"--task_name={task.name}: is for {program}")
    settings = settings_for_task(task, settings)
    if settings.do_train and task.trained_as:
        raise InputError(f"--task_name={task.name}: is evaluated with a model of {task.trained_as}; train that")
    settings.validate()
    strategy = strategy_for(settings, training=settings.do_train)
    reader = SplitReader(task, settings)
    loaded: MultiGrainedTokenizer | None = None
    # Everything is read before anything is trained, so that a wrong line shows at once.
    if settings.do_train:
        config, loaded = initial_model(settings)
        inference_config(config, settings.inference)
        fine_tuned = _fine_tuned_task(settings, task, reader, config)
    else:
        fine_tuned = _trained_task(settings, task)
    form = make_form(task, fine_tuned, settings)
    splits = {split: reader.read(split, form) for split in reader.wanted}
    runs: dict[str, Any] = {}
    if settings.do_train:
        assert loaded is not None
        runs = train_runs(settings, strategy, config, loaded, form, splits["train"], splits.get("dev"))
    if not is_chief(strategy):
        return {}
    make_directory(settings.output_dir)
    return _evaluate_and_predict(settings, form, splits, loaded, runs)


def make_form(task: Task, fine_tuned: TaskConfig, settings: FineTuningSettings | None = None) -> Form:
    """Returns what reads, scores and writes a task's examples."""
    if fine_tuned.form != SPANS:
        return SequenceForm(task, fine_tuned)
    if isinstance(settings, SpanSettings):
        return SpanForm(task, fine_tuned, settings.n_best_size, settings.null_score_diff_threshold)
    return SpanForm(task, fine_tuned)


def _evaluate_and_predict(
    settings: FineTuningSettings,
    form: Form,
    splits: dict[str, Split],
    tokenizer: MultiGrainedTokenizer | None,
    runs: dict[str, Any],
) -> dict[str, Any]:
    results: dict[str, Any] = {}
    if not (settings.do_eval or settings.do_predict):
        return results
    classifier = load_classifier(_trained_directory(settings), settings.inference, "output_dir", tokenizer)
    others = _other_tasks(settings, form, classifier.task)
    if settings.do_eval:
        results = evaluate(settings, classifier, form, splits["dev"], others, runs)
    if settings.do_predict:
        predict(settings, classifier, form, splits["test"], others)
    return results


def _other_tasks(
    settings: FineTuningSettings, form: Form, fine_tuned: TaskConfig
) -> list[tuple[Form, dict[str, Split]]]:
    """Returns the tasks that a model is evaluated on beside its own, with their examples, where these are there."""
    found = []
    for name in form.task.also:
        other = TASKS[name]
        other_form = make_form(other, fine_tuned, settings)
        splits: dict[str, Split] = {}
        for split, wanted, own in (
            ("dev", settings.do_eval, settings.eval_file),
            ("test", settings.do_predict, settings.predict_file),
        ):
            there = has_split(other, split) if settings.data_source == "tfds" else _files_of(other, settings, split)
            if not wanted or own or not there:
                continue
            values: dict[str, Any] = {"do_train": False, "do_eval": split == "dev", "do_predict": split == "test"}
            if isinstance(there, tuple):
                values["data_dir"] = os.path.dirname(there[0])
            reader = SplitReader(other, dataclasses.replace(settings, **values))
            splits[split] = reader.read(split, other_form)
        if splits:
            found.append((other_form, splits))
    return found


def _files_of(task: Task, settings: FineTuningSettings, split: str) -> tuple[str, ...]:
    """Returns the files of a further task: in the data directory, or in a directory of its own beside it."""
    beside = os.path.dirname(os.path.abspath(settings.data_dir))
    for directory in (settings.data_dir, *(os.path.join(beside, name) for name in task.directories)):
        if files := find_files(task, directory, split):
            return files
    return ()


def _fine_tuned_task(
    settings: FineTuningSettings, task: Task, reader: SplitReader, config: ModelConfig
) -> TaskConfig:
    labels: tuple[Label, ...] = ()
    if task.form == CLASSIFICATION:
        data_dir = "" if reader.from_tfds else settings.data_dir
        labels = find_labels(task, data_dir, reader.records("train") if task.labels is None else None)
    described = bool(labels) and all(label.description for label in labels)
    fine, coarse = check_seq_lengths(settings.max_seq_length, settings.max_coarse_seq_length)
    augmentation = task.augmentation if settings.data_augmentation else None
    spans: dict[str, Any] = {}
    if isinstance(settings, SpanSettings):
        names = ("doc_stride", "max_query_length", "max_answer_length")
        spans = {name: getattr(settings, name) for name in names}
        spans["null_answers"] = task.null_answers
    return TaskConfig(
        task_name=task.name,
        form=task.form,
        labels=tuple(label.name for label in labels),
        label_descriptions=tuple(label.description for label in labels) if described else (),
        pair=task.pair,
        max_seq_length=fine,
        max_coarse_seq_length=coarse,
        data_augmentation=augmentation or NO_AUGMENTATION,
        choices=task.choices,
        score_range=task.score_range,
        inputs=task.inputs,
        **spans,
    )


def _trained_task(settings: FineTuningSettings, task: Task) -> TaskConfig:
    directory = _trained_directory(settings)
    fine_tuned = TaskConfig.read(directory, "output_dir")
    if fine_tuned.task_name not in (task.name, task.trained_as) and not _same_kind(fine_tuned, task):
        raise InputError(
            f"--task_name={settings.task_name}: the model in {directory} was fine-tuned on {fine_tuned.task_name}"
        )
    if task.null_answers and not fine_tuned.null_answers:
        raise InputError(
            f"--task_name={settings.task_name}: the model in {directory} was fine-tuned on {fine_tuned.task_name}, "
            "where every question has an answer; train one on this task"
        )
    if settings.tokenizer_dir:
        _check_tokenizer(settings.tokenizer_dir, directory)
    return fine_tuned


def _same_kind(fine_tuned: TaskConfig, task: Task) -> bool:
    """Returns whether a model of another task gives what this one asks for: FewCLUE's tasks and CLUE's, SQuAD's two."""
    if fine_tuned.form != task.form:
        return False
    if task.form == CLASSIFICATION:
        names = tuple(label.name for label in task.labels or ())
        return names == fine_tuned.labels and (task.name.removeprefix("fewclue_") in fine_tuned.task_name)
    return task.form == SPANS


def _check_tokenizer(tokenizer_dir: str, directory: str) -> None:
    ours = MultiGrainedTokenizer.load(os.path.join(directory, "tokenizer")).fingerprint
    if MultiGrainedTokenizer.load(tokenizer_dir).fingerprint != ours:
        raise InputError(
            f"--tokenizer_dir={tokenizer_dir}: is another tokenizer than that of the model in {directory}; leave the "
            "flag out"
        )


def _trained_directory(settings: FineTuningSettings) -> str:
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
