"""Shows where heads or models disagree on a development set, with both tokenizations (the paper's Table 13)."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from ambert_tf.analysis.analysis_settings import CasesSettings
from ambert_tf.analysis.case_table import Case, Segmented, segmented_texts, shown_cases, table_format, write_table
from ambert_tf.errors import InputError
from ambert_tf.finetuning.prediction import Predictor
from ambert_tf.finetuning.sequence_form import SequenceForm
from ambert_tf.finetuning.tokenized_examples import TokenizedExamples
from ambert_tf.flags import run_program
from ambert_tf.models.task_config import REGRESSION, SEQUENCE_LABELLING, SPANS
from ambert_tf.tasks.data_files import file_records, find_data_dir, split_files
from ambert_tf.tasks.declaration import Example
from ambert_tf.tasks.record_inputs import BLANK_NAME
from ambert_tf.tasks.registry import find_task
from ambert_tf.training.loaded_model import load_model

BATCH_SIZE = 32


def find_cases(
    model_dirs: Sequence[str],
    data_dir: str = "",
    input_file: str = "",
    task_name: str = "",
    task_file: str = "",
    names: Sequence[str] = (),
    split: str = "dev",
) -> tuple[list[Case], int]:
    """Returns the examples on which heads or models disagree, and the number of examples.

    Args:
      model_dirs: fine-tuned models. The heads of a single model are compared.
      data_dir: the task's data directory. Defaults to the one that training would use.
      input_file: a file to read instead of the split's files.
      task_name: name of the task. Defaults to the task of the first model.
      task_file: a Python file with the user's own task.
      names: names of the models.
      split: the split to read.

    Raises:
      InputError: a directory has no fine-tuned model, a model has only one head or another kind of task, or a file is
        invalid.
    """
    CasesSettings(model_dir=tuple(model_dirs), names=tuple(names), split=split).validate()
    columns: dict[str, np.ndarray] = {}
    labels: tuple[str, ...] = ()
    for number, directory in enumerate(model_dirs):
        loaded = load_model(directory, task=True)
        config = loaded.task
        assert config is not None
        if config.form in (SPANS, REGRESSION, SEQUENCE_LABELLING):
            raise InputError(f"--model_dir={directory}: predicts {config.form}; only labels or choices can be compared")
        task = find_task(task_name or config.task_name, task_file or None)
        # All models read the same rows, whether or not they were trained with the augmentation that repeats some.
        task = dataclasses.replace(task, copies=lambda record: 1)
        if number and config.labels != labels:
            raise InputError(f"--model_dir={directory}: its labels differ from those of {model_dirs[0]}")
        labels = config.labels
        form = SequenceForm(task, config)
        files = split_files(task, data_dir or find_data_dir(task) or "", split, input_file)
        found = form.read(file_records(task, files, split), split, files, needs_labels=True)
        logits = Predictor(loaded.model)(TokenizedExamples(found, config, loaded.tokenizer), BATCH_SIZE)
        heads = ("joint",) if len(model_dirs) > 1 else ("fine", "coarse", "joint")
        if not set(heads) <= set(logits.by_head):
            raise InputError(f"--model_dir={directory}: has only one head; name several models, or an ambert")
        for head in heads:
            name = (names[number] if names else directory.rstrip("/").rsplit("/", 1)[-1]) if len(heads) == 1 else head
            columns[name] = form.predicted(logits.by_head[head], found.examples)
    if len(columns) < max(len(model_dirs), 2):
        raise InputError("--model_dir: two models have the same name; use --names to rename them")
    chosen = [
        row for row in range(len(found.examples)) if len({int(values[row]) for values in columns.values()}) > 1
    ]
    texts = [text for row in chosen for text in _texts(found.examples[row])]
    segmented = iter(segmented_texts(loaded.tokenizer, texts))
    cases = []
    for row in chosen:
        example = found.examples[row]
        parts: list[Segmented] = [next(segmented) for _ in _texts(example)]
        predicted = {name: _name(int(values[row]), labels) for name, values in columns.items()}
        cases.append(Case(example.id, parts, _name(int(example.label or 0), labels), predicted))
    return cases, len(found.examples)


def _texts(example: Example) -> list[str]:
    """Returns the distinct texts of an example."""
    texts: list[str] = []
    for value in example.inputs:
        texts += [value] if isinstance(value, str) else value if isinstance(value, tuple) else []
    return list(dict.fromkeys(text for text in texts if text != BLANK_NAME))


def _name(index: int, labels: Sequence[str]) -> str:
    return labels[index] if labels else f"choice {index}"


def run_cases(settings: CasesSettings) -> None:
    """Writes or prints the table."""
    settings.validate()
    form = table_format(settings.output, settings.format)
    cases, examples = find_cases(
        settings.model_dir,
        settings.data_dir,
        settings.input_file,
        settings.task_name,
        settings.task_file,
        settings.names,
        settings.split,
    )
    shown = shown_cases(cases, settings.max_cases, settings.random_seed)
    write_table(shown, len(cases), examples, form, settings.output)


if __name__ == "__main__":
    run_program(CasesSettings, run_cases)
