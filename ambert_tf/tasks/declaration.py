"""What a fine-tuning task is: a short declaration of its files, records, labels, metric and usual settings."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ambert_tf.models.task_config import CLASSIFICATION, PLAIN
from ambert_tf.tasks.json_lines import Record, read_json_lines

SPLITS = ("train", "dev", "test")
# The flag that names another file for a split.
FILE_FLAGS = {"train": "train_file", "dev": "eval_file", "test": "predict_file"}

# The files that make up a split: each inner tuple is one way the download may come, all of whose files are read.
SplitFiles = tuple[tuple[str, ...], ...]


class Texts(NamedTuple):
    """Raw inputs of an example that is one text or two."""

    text: str
    text_pair: str | None = None


class MarkedSpans(NamedTuple):
    """Raw inputs of an example that is a text with two spans; each index is the character where its span starts."""

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


# Strings as the data have them; `ambert_tf.models.task_inputs` makes sequences of them, for training and serving alike.
RawInputs = Texts | MarkedSpans | Choices | Question


class Label(NamedTuple):
    """A label as spelled in the data, and optionally a word for it."""

    name: str
    description: str = ""


class Example(NamedTuple):
    """One example of a data set.

    Attributes:
      id: from the data, or the index of its record.
      inputs: its raw inputs.
      label: index of the label or of the right choice, or the score; None if unknown.
      group: examples of one group have the same candidates, each of which is right at most once.
    """

    id: int | str
    inputs: Texts | MarkedSpans | Choices
    label: int | float | None
    group: int | str | None = None


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """Options of `Task.texts`.

    Attributes:
      augment: whether to apply the task's data augmentation.
    """

    augment: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """The file that a leaderboard takes.

    Attributes:
      file: its name.
      format: a key of `leaderboard.FORMATS`.
      versions: further file names by version of the test set (`1.0`, `1.1`), which the name of the test file contains.
        A test file without a version has the last one. Written beside `file`.
    """

    file: str
    format: str
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TfdsSource:
    """A task in TensorFlow Datasets.

    Attributes:
      names: data sets, such as `glue/cola`; all are read.
      splits: split of TFDS by our split, for those that exist.
      columns: key of the record by key of TFDS, if they differ.
    """

    names: tuple[str, ...]
    splits: Mapping[str, str] = dataclasses.field(
        default_factory=lambda: {"train": "train", "dev": "validation", "test": "test"}
    )
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)


def files(train: str = "train.json", dev: str = "dev.json", test: str = "test.json") -> dict[str, SplitFiles]:
    """Returns the files of each split; `|` separates alternatives, `+` files that are read together."""
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
      description: one line.
      form: `classification`, `regression`, `multiple_choice` or `spans`.
      texts: returns the raw inputs of a record: `Texts`, `MarkedSpans`, `Choices` or `Question`.
      pair: whether an example has two texts.
      inputs: kind of the inputs, see `TaskConfig`.
      records: reads a file; takes its path and the flag that named it.
      files: see `files`.
      companions: further files that `records` reads.
      directories: directory names of the official download.
      label_key: key of the label, the score or the index of the right choice.
      id_keys: possible keys of the id; the first one found is used.
      labels: all labels; None to take them from `labels.json`, or from the training file.
      no_gold_labels: labels that mean that the annotators did not agree; such examples are skipped.
      score_range: regression only.
      choices: multiple choice only; maximum number of choices per example.
      null_answers: spans only; whether a question may have no answer.
      augmentation: what `--data_augmentation` does; None if the task has no augmentation.
      augmentation_key: key of what augmentation adds to the text; some test sets lack it.
      copies: with augmentation, how many times a record is used per epoch.
      metrics: names in `metrics.METRICS`; the first one selects the best checkpoint.
      positive_label: the label of `f1`.
      leaderboard: its file.
      download_page: URL of the data.
      defaults: flag values by flag, instead of BERT's; flags on the command line take precedence.
      defaults_source: the publication of these values.
      agreement_weight: λ of eq. (2).
      tfds: the task in TensorFlow Datasets.
      trained_as: a task without training data is evaluated with a model of this task.
      also: further tasks to evaluate a model on, if their files exist.
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
    id_keys: tuple[str, ...] = ("id", "index", "idx")
    labels: tuple[Label, ...] | None = None
    no_gold_labels: frozenset[str] = frozenset()
    score_range: tuple[float, float] | None = None
    choices: int = 0
    null_answers: bool = False
    augmentation: str | None = None
    augmentation_key: str | None = None
    copies: Callable[[Record], int] = lambda record: 1
    metrics: tuple[str, ...] = ("accuracy",)
    positive_label: str | None = None
    leaderboard: Leaderboard | None = None
    download_page: str | None = None
    defaults: Mapping[str, int | float] = dataclasses.field(default_factory=dict)
    defaults_source: str = "BERT (Devlin et al., 2019), Appendix A.3"
    agreement_weight: float = 1.0
    tfds: TfdsSource | None = None
    trained_as: str | None = None
    also: tuple[str, ...] = ()


def named_labels(*names: str) -> tuple[Label, ...]:
    """Returns labels without descriptions."""
    return tuple(Label(name) for name in names)


def columns(*names: str) -> Callable[[Record, ReadOptions], Texts]:
    """Returns a `Task.texts` that reads one or two texts from these keys or columns of a record."""
    return lambda record, options: Texts(*(record.string(name) for name in names))
