"""Fine-tuning, evaluation and prediction, as run by `run_classifier.py`, `run_squad.py` and `run_ner.py`."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

from absl import logging

from ambert_tf.errors import InputError
from ambert_tf.files import is_remote
from ambert_tf.finetuning.best_checkpoint import read_finished
from ambert_tf.finetuning.evaluation import evaluate, predict
from ambert_tf.finetuning.fine_tuning_settings import (
    ClassificationSettings,
    FineTuningSettings,
    SpanSettings,
    TaggingSettings,
)
from ambert_tf.finetuning.form import Form
from ambert_tf.finetuning.new_model import check_tokenizer_dir, initial_model
from ambert_tf.finetuning.prediction import Predictor
from ambert_tf.finetuning.sequence_form import SequenceForm
from ambert_tf.finetuning.span_form import SpanForm
from ambert_tf.finetuning.splits import Split, SplitReader, settings_for_task
from ambert_tf.finetuning.token_form import TokenForm
from ambert_tf.finetuning.tokenized_examples import TokenizedExamples
from ambert_tf.finetuning.training_runs import train_runs
from ambert_tf.models.inference import inference_config
from ambert_tf.models.task_config import (
    CLASSIFICATION,
    DECODING_FIELDS,
    NO_AUGMENTATION,
    SEQUENCE_LABELLING,
    SPAN_FIELDS,
    SPANS,
    TAGGING_FIELDS,
    TaskConfig,
    is_fine_tuned,
)
from ambert_tf.outputs import make_directory
from ambert_tf.tasks.data_files import find_files
from ambert_tf.tasks.declaration import Label, Task
from ambert_tf.tasks.labels import find_labels, labels_directory
from ambert_tf.tasks.registry import TASKS, find_task
from ambert_tf.tasks.sequence_labelling import OWN_COLUMNS, OWN_ENTITIES
from ambert_tf.tasks.sequence_labelling_files import RecordReader, conll_columns, json_spans
from ambert_tf.tasks.tfds_source import has_split
from ambert_tf.tokenization.model_inputs import check_seq_lengths
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.checkpoints import is_model_directory, load_model_directory
from ambert_tf.training.cluster import is_chief
from ambert_tf.training.loaded_model import load_model
from ambert_tf.training.trainer import strategy_for

# Flags that are part of a trained model.
INPUT_FIELDS = ("max_seq_length", "max_coarse_seq_length", "doc_stride", "max_query_length", *TAGGING_FIELDS)
MODEL_FIELDS = ("model_type", "classifier_pooling")


def run_fine_tuning(settings: FineTuningSettings) -> dict[str, Any]:
    """Fine-tunes, evaluates and predicts according to the settings.

    After training, `output_dir` is a model directory with `task.json`. Evaluation and prediction run the model in
    `output_dir` or, without --do_train, the one in `init_checkpoint`, in float32 like an export. They write
    `eval_results.json`, `eval_results.txt`, `predictions.json` and the leaderboard's file. Question answering also
    writes `nbest_predictions.json` and `null_odds.json`.

    Returns:
      The evaluation results. They are empty without --do_eval and on workers other than the chief.

    Raises:
      InputError: a setting or a file is invalid, or a loss is not finite.
    """
    given = settings
    task = _find_task(settings)
    kind, program = _program(task)
    if not isinstance(settings, kind):
        raise InputError(f"--task_name={task.name}: is for {program}")
    settings = settings_for_task(task, settings)
    if settings.do_train and task.trained_as:
        raise InputError(f"--task_name={task.name}: is evaluated with a model of {task.trained_as}; train that task")
    settings.validate()
    strategy = strategy_for(settings, training=settings.do_train)
    parts = strategy.num_replicas_in_sync * settings.gradient_accumulation_steps
    if settings.do_train and any(size % parts for size in settings.batch_sizes):
        raise InputError(
            f"--grid_batch_sizes={settings.grid_batch_sizes}: must be multiples of {parts} (replicas times "
            "--gradient_accumulation_steps)"
        )
    reader = SplitReader(task, settings)
    tokenizer: MultiGrainedTokenizer | None = None
    # All splits are read before training, so that an invalid line is reported immediately.
    if settings.do_train:
        config, tokenizer = initial_model(settings)
        inference_config(config, settings.inference)
        form = make_form(task, _new_task_config(settings, task, reader))
    else:
        form = make_form(task, _trained_task_config(settings, task, given))
    splits = {split: read_split(reader, split, form) for split in reader.wanted}
    others = _other_tasks(settings, form) if is_chief(strategy) else []
    dev: TokenizedExamples | None = None
    runs: dict[str, Any] = {}
    if settings.do_train:
        assert tokenizer is not None
        train = TokenizedExamples(splits["train"], form.config, tokenizer, settings.use_xla)
        if "dev" in splits:
            dev = TokenizedExamples(splits["dev"], form.config, tokenizer)
        runs = train_runs(settings, strategy, config, tokenizer, form, train, dev)
    if not is_chief(strategy):
        return {}
    make_directory(settings.output_dir)
    results: dict[str, Any] = {}
    if settings.do_eval or settings.do_predict:
        directory = _trained_directory(settings)
        loaded = load_model(directory, settings.inference, "output_dir", tokenizer, task=True)
        if not settings.do_train:
            check_tokenizer_dir(settings, loaded.tokenizer, directory)
        form.read_facts(directory)
        predictor = Predictor(loaded.model)  # one for both, because tracing the model takes seconds
        if settings.do_eval:
            dev = dev or TokenizedExamples(splits["dev"], form.config, loaded.tokenizer)
            results = evaluate(settings, loaded, predictor, form, dev, others, runs)
        if settings.do_predict:
            predict(settings, loaded, predictor, form, splits["test"], others)
    return results


def make_form(task: Task, config: TaskConfig) -> Form:
    """Returns the form of a task, which reads its examples, scores them and writes predictions."""
    return {SPANS: SpanForm, SEQUENCE_LABELLING: TokenForm}.get(config.form, SequenceForm)(task, config)


def _program(task: Task) -> tuple[type[FineTuningSettings], str]:
    """Returns the settings and the name of the program for a task."""
    if task.form == SPANS:
        return SpanSettings, "run_squad.py"
    if task.form == SEQUENCE_LABELLING:
        return TaggingSettings, "run_ner.py"
    return ClassificationSettings, "run_classifier.py"


def read_split(reader: SplitReader, split: str, form: Form) -> Split:
    """Reads the examples of a split. Examples to predict need no labels."""
    files = reader.files[split]
    found = form.read(reader.records(split), split, files, needs_labels=split != "test")
    logging.info("%s: %d examples", " and ".join(files), len(found.examples))
    return found


def _find_task(settings: FineTuningSettings) -> Task:
    """Returns the task named by the flags. With google-research/bert's command line, this is SQuAD."""
    name = settings.task_name
    if isinstance(settings, TaggingSettings):
        return find_labelling_task(settings)
    if not isinstance(settings, SpanSettings):
        return find_task(name, settings.task_file)
    null_answers = settings.version_2_with_negative
    if not name and (settings.train_file or settings.eval_file or settings.predict_file):
        name = "squad2" if null_answers else "squad1"
    task = find_task(name, settings.task_file)
    return dataclasses.replace(task, null_answers=True) if null_answers else task


def find_labelling_task(settings: TaggingSettings) -> Task:
    """Returns the task of sequence labelling that the flags name; of one's own data, in the format that they describe.

    Raises:
      InputError: there is no such task, or it has a format of its own.
    """
    task = find_task(settings.task_name, settings.task_file)
    columns: dict[str, Any] = {
        "tag_column": settings.tag_column,
        "token_column": settings.token_column,
        "scheme": settings.input_scheme,
        "strict": settings.strict_tags,
    }
    entities: dict[str, Any] = {
        "key": settings.entities_key,
        "end_inclusive": settings.end_inclusive,
        "byte_offsets": settings.byte_offsets,
    }
    readers: dict[str, tuple[Callable[..., RecordReader], dict[str, Any]]] = {
        OWN_COLUMNS.name: (conll_columns, columns),
        OWN_ENTITIES.name: (json_spans, entities),
    }
    found = task
    for name, (reader, options) in readers.items():
        given = {key: value for key, value in options.items() if value is not None}
        if task.name == name:
            found = dataclasses.replace(task, records=reader(**given))
        elif given:
            flags = {"scheme": "input_scheme", "strict": "strict_tags", "key": "entities_key"}
            flag = flags.get(key := next(iter(given)), key)
            raise InputError(f"--{flag}: describes data of your own (--task_name={name}), not {task.name}")
    return found


def _other_tasks(settings: FineTuningSettings, form: Form) -> list[tuple[Form, dict[str, Split]]]:
    """Returns the additional tasks to evaluate the model on, with their examples, if their files exist."""
    found = []
    for name in form.task.also:
        other = TASKS[name]
        other_form = make_form(other, form.config)
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
            splits[split] = read_split(reader, split, other_form)
        if splits:
            found.append((other_form, splits))
    return found


def _files_of(task: Task, settings: FineTuningSettings, split: str) -> tuple[str, ...]:
    """Returns the files of an additional task, in the data directory or in the task's directory next to it."""
    data_dir = settings.data_dir
    beside = os.path.dirname(data_dir.rstrip("/") if is_remote(data_dir) else os.path.abspath(data_dir))
    for directory in (data_dir, *(os.path.join(beside, name) for name in task.directories)):
        if files := find_files(task, directory, split):
            return files
    return ()


def _new_task_config(settings: FineTuningSettings, task: Task, reader: SplitReader) -> TaskConfig:
    labels: tuple[Label, ...] = ()
    if task.form in (CLASSIFICATION, SEQUENCE_LABELLING):
        data_dir = "" if reader.from_tfds else labels_directory(settings.data_dir, reader.files["train"])
        # The first --max_examples records may lack a label that a development example has.
        labels = find_labels(task, data_dir, reader.all_records("train") if task.labels is None else None)
    if task.positive_label is not None and labels and task.positive_label not in {label.name for label in labels}:
        raise InputError(
            f"task {task.name}: its positive label is {task.positive_label!r}, but the labels are "
            f"{', '.join(label.name for label in labels)}"
        )
    described = bool(labels) and all(label.description for label in labels)
    fine, coarse = check_seq_lengths(settings.max_seq_length, settings.max_coarse_seq_length)
    augmentation = task.augmentation if settings.data_augmentation else None
    return TaskConfig(
        task_name=task.name,
        form=task.form,
        inputs=task.inputs,
        labels=tuple(label.name for label in labels),
        label_descriptions=tuple(label.description for label in labels) if described else (),
        pair=task.pair,
        max_seq_length=fine,
        max_coarse_seq_length=coarse,
        data_augmentation=augmentation or NO_AUGMENTATION,
        choices=task.choices,
        score_range=task.score_range,
        null_answers=task.null_answers,
        outside=task.outside,
        **_given(settings, (*SPAN_FIELDS, *TAGGING_FIELDS)),
    )


def _trained_task_config(settings: FineTuningSettings, task: Task, given: FineTuningSettings) -> TaskConfig:
    """Returns the configuration of a trained model, with the flags for decoding that the user gave.

    Defaults of the task do not count. The model may have been trained with other values.
    """
    directory = _trained_directory(settings)
    config = TaskConfig.read(directory, "output_dir")
    if config.task_name not in (task.name, task.trained_as) and not _same_kind(config, task):
        raise InputError(
            f"--task_name={settings.task_name}: the model in {directory} was fine-tuned on {config.task_name}"
        )
    if task.null_answers and not config.null_answers:
        raise InputError(
            f"--task_name={task.name}: the model in {directory} was fine-tuned on {config.task_name}, where every "
            "question has an answer; train one on this task"
        )
    model = load_model_directory(directory, "output_dir").config
    for name, value in _given(given, (*INPUT_FIELDS, *MODEL_FIELDS)).items():
        trained = getattr(model if name in MODEL_FIELDS else config, name)
        if value is not False and value != trained:
            raise InputError(
                f"--{name}={value}: the model in {directory} was fine-tuned with {trained}; omit the flag, or train "
                "another model"
            )
    if not given.data_augmentation and config.data_augmentation != NO_AUGMENTATION:
        raise InputError(
            f"--nodata_augmentation: the model in {directory} was fine-tuned with data augmentation "
            f"({config.data_augmentation}); omit the flag, or train another model"
        )
    return dataclasses.replace(config, **_given(given, DECODING_FIELDS))


def _is_of(start: str, directory: str) -> bool:
    """Returns whether a model is that of a directory, or the one from which its training started."""
    finished = read_finished(directory) or {}
    return os.path.realpath(start) == os.path.realpath(directory) or finished.get("init_checkpoint") == start


def _given(settings: FineTuningSettings, names: Sequence[str]) -> dict[str, Any]:
    """Returns the values of those of the named flags that the program has and that were given."""
    values = {name: getattr(settings, name, None) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _same_kind(config: TaskConfig, task: Task) -> bool:
    """Returns whether a model of another task can be used.

    For classification, regression and multiple choice, this is a model with the same inputs and labels of CLUE for
    FewCLUE or the reverse, or of any task for your own data, such as `sentence` for `reviews`. All models for spans
    have the same inputs and outputs, such as squad1 for cmrc2018. If the labels of a task are not declared, unknown
    ones are found when the file is read.
    """
    if config.form != task.form:
        return False
    if task.form == SPANS:
        return True
    if task.form == SEQUENCE_LABELLING:
        return task.outside == config.outside
    labels = config.labels if task.labels is None else tuple(label.name for label in task.labels)
    if (task.inputs, task.pair, labels) != (config.inputs, config.pair, config.labels):
        return False
    is_own_data = task.download_page is None
    return is_own_data or _without_edition(task.name) == _without_edition(config.task_name)


def _without_edition(name: str) -> str:
    """Returns the name that a task of CLUE and its variant in FewCLUE have in common."""
    return name.removeprefix("fewclue_").removesuffix("2020")


def _trained_directory(settings: FineTuningSettings) -> str:
    """Returns the directory of the model to evaluate or predict with.

    Raises:
      InputError: the model does not exist, or its results would replace those of another model.
    """
    start = settings.init_checkpoint
    if is_model_directory(settings.output_dir) and is_fine_tuned(settings.output_dir):
        if not settings.do_train and start and is_fine_tuned(start) and not _is_of(start, settings.output_dir):
            raise InputError(
                f"--init_checkpoint={start}: --output_dir={settings.output_dir} has another fine-tuned model; name "
                "another directory for the results"
            )
        return settings.output_dir
    if settings.init_checkpoint and is_fine_tuned(settings.init_checkpoint):
        return settings.init_checkpoint
    raise InputError(
        f"--output_dir={settings.output_dir}: has no fine-tuned model; train one with --do_train, or name one by "
        "--init_checkpoint"
    )
