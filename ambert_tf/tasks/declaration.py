"""`Task`: the declaration of a fine-tuning task, with its files, records, labels, metrics and default settings."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ambert_tf.models.tagging_schemes import Span
from ambert_tf.models.task_config import (
    CLASSIFICATION,
    MULTIPLE_CHOICE,
    PLAIN,
    REGRESSION,
    SEQUENCE_LABELLING,
    SPANS,
)
from ambert_tf.tasks.json_lines import Record, read_json_lines
from ambert_tf.tasks.tables import ID_COLUMNS

SPLITS = ("train", "dev", "test")
# The flag that names another file for a split.
FILE_FLAGS = {"train": "train_file", "dev": "eval_file", "test": "predict_file"}

# The metrics that a task of each form may have.
FORM_METRICS: Mapping[str, tuple[str, ...]] = {
    CLASSIFICATION: ("accuracy", "f1", "macro_f1", "matthews_correlation"),
    REGRESSION: ("pearson", "spearman"),
    MULTIPLE_CHOICE: ("accuracy", "f1", "macro_f1", "matthews_correlation"),
    SPANS: ("f1", "exact_match", "mixed_f1", "mixed_exact_match"),
    SEQUENCE_LABELLING: ("f1", "precision", "recall", "oov_rate", "oov_recall"),
}
DEFAULT_METRICS: Mapping[str, tuple[str, ...]] = {
    CLASSIFICATION: ("accuracy",),
    REGRESSION: ("pearson", "spearman"),
    MULTIPLE_CHOICE: ("accuracy",),
    SPANS: ("f1", "exact_match"),
    SEQUENCE_LABELLING: ("f1", "precision", "recall"),
}

# Alternatives for the files of a split. All files of the first complete alternative are read.
SplitFiles = tuple[tuple[str, ...], ...]


class Texts(NamedTuple):
    """Raw inputs of an example with one or two texts."""

    text: str
    text_pair: str | None = None


class MarkedSpans(NamedTuple):
    """Raw inputs of an example with a text and two spans. Each index is the character offset of its span."""

    text: str
    span1_text: str
    span1_index: int
    span2_text: str
    span2_index: int


class Choices(NamedTuple):
    """Raw inputs of a multiple-choice example."""

    context: str
    question: str
    choices: tuple[str, ...]


class Question(NamedTuple):
    """Raw inputs of extractive question answering."""

    question: str
    context: str


# Strings as they are in the data. `ambert_tf.models.task_inputs` converts them to sequences for training and serving.
RawInputs = Texts | MarkedSpans | Choices | Question


class Label(NamedTuple):
    """A label as spelled in the data, and optionally a one-word description."""

    name: str
    description: str = ""


class Example(NamedTuple):
    """One example of a data set.

    Attributes:
      id: the id in the data, or the index of the record.
      inputs: the raw inputs.
      label: the index of the label or of the correct choice, or the score. None if unknown.
      group: examples of the same group share their candidates, and each candidate is correct at most once.
    """

    id: int | str
    inputs: Texts | MarkedSpans | Choices
    label: int | float | None
    group: int | str | None = None


class TaggedText(NamedTuple):
    """One example of sequence labelling.

    Attributes:
      id: from the data, or the index of its record.
      inputs: its text.
      spans: of characters, in order and without overlaps; None if they are not known.
    """

    id: int | str
    inputs: Texts
    spans: tuple[Span, ...] | None


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """Options of `Task.texts`.

    Attributes:
      augment: whether to apply the task's data augmentation.
    """

    augment: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """A leaderboard's submission file for a task.

    Attributes:
      file: the file name.
      format: a key of `leaderboard.FORMATS`.
      versions: additional file names by version of the test set (`1.0`, `1.1`), written next to `file`. The version is
        taken from the name of the test file and defaults to the last one.
    """

    file: str
    format: str
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TfdsSource:
    """A task in TensorFlow Datasets.

    Attributes:
      names: data sets, such as `glue/cola`. All of them are read.
      splits: the TFDS split for each of our splits that exists.
      columns: the record's key for each TFDS key with a different name.
    """

    names: tuple[str, ...]
    splits: Mapping[str, str] = dataclasses.field(
        default_factory=lambda: {"train": "train", "dev": "validation", "test": "test"}
    )
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)


def files(train: str = "train.json", dev: str = "dev.json", test: str = "test.json") -> dict[str, SplitFiles]:
    """Returns the files of each split. `|` separates alternatives, and `+` joins files that are read together."""
    return {
        split: tuple(tuple(names.split("+")) for names in choices.split("|"))
        for split, choices in zip(SPLITS, (train, dev, test), strict=True)
        if choices
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """Declaration of a fine-tuning task.

    Attributes:
      name: value of `--task_name`.
      description: one-line description.
      form: `classification`, `regression`, `multiple_choice`, `spans` or `sequence_labelling`.
      texts: returns the raw inputs of a record: `Texts`, `MarkedSpans`, `Choices` or `Question`.
      pair: whether an example has two texts.
      inputs: the kind of inputs; see `TaskConfig`.
      records: the reader of a file. It takes the file's path and the flag that named it.
      files: see `files`.
      companions: additional files that `records` reads.
      directories: directory names of the official download.
      label_key: key of the label, the score or the index of the correct choice.
      id_keys: possible keys of the id. The first one found is used.
      labels: all labels, or None to read them from `labels.json` or the training file.
      no_gold_labels: labels of examples on which the annotators did not agree. These examples are skipped.
      score_range: regression only. The lowest and the highest score.
      choices: multiple choice only. Maximum number of choices per example.
      null_answers: spans only. Whether a question may have no answer.
      outside: sequence labelling only. Whether a token may be outside of all spans.
      augmentation: what `--data_augmentation` does, or None if the task has no augmentation.
      augmentation_key: key of the data that augmentation adds to the text. Some test sets lack it.
      copies: the number of times that augmentation uses a record per epoch.
      metrics: metrics of the form; see `FORM_METRICS`. The first one selects the best checkpoint. Defaults to
        `DEFAULT_METRICS`.
      positive_label: the positive label of `f1`.
      leaderboard: the leaderboard's file.
      download_page: URL of the data.
      defaults: default flag values that differ from BERT's. Flags on the command line take precedence.
      defaults_source: the publication that these values come from.
      agreement_weight: λ of eq. (2).
      tfds: the task in TensorFlow Datasets.
      trained_as: for a task without training data, the task whose models are evaluated on it.
      also: other tasks to evaluate a model on, if their files exist.
    """

    name: str
    description: str
    form: str = CLASSIFICATION
    texts: Callable[[Record, ReadOptions], RawInputs]
    pair: bool = False
    inputs: str = PLAIN
    records: Callable[[str, str], Iterator[Record]] = read_json_lines
    files: Mapping[str, SplitFiles] = dataclasses.field(default_factory=files)
    companions: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    label_key: str = "label"
    id_keys: tuple[str, ...] = ID_COLUMNS
    labels: tuple[Label, ...] | None = None
    no_gold_labels: frozenset[str] = frozenset()
    score_range: tuple[float, float] | None = None
    choices: int = 0
    null_answers: bool = False
    outside: bool = True
    augmentation: str | None = None
    augmentation_key: str | None = None
    copies: Callable[[Record], int] = lambda record: 1
    metrics: tuple[str, ...] = ()
    positive_label: str | None = None
    leaderboard: Leaderboard | None = None
    download_page: str | None = None
    defaults: Mapping[str, int | float | str] = dataclasses.field(default_factory=dict)
    defaults_source: str = "BERT (Devlin et al., 2019), Appendix A.3"
    agreement_weight: float = 1.0
    tfds: TfdsSource | None = None
    trained_as: str | None = None
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.metrics:
            object.__setattr__(self, "metrics", DEFAULT_METRICS.get(self.form, ()))


def named_labels(*names: str) -> tuple[Label, ...]:
    """Returns labels without descriptions."""
    return tuple(Label(name) for name in names)


def columns(*names: str) -> Callable[[Record, ReadOptions], Texts]:
    """Returns a function for `Task.texts` that reads one or two texts from the given keys or columns."""
    return lambda record, options: Texts(*(record.string(name) for name in names))
