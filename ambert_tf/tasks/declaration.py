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
    """A label as the data write it, and a word for it where there is one."""

    name: str
    description: str = ""


class Example(NamedTuple):
    """One example of a data set.

    Attributes:
      id: as the data give it, or the number of its record, from 0.
      inputs: its raw inputs.
      label: index of its label or of the right choice, or the score to predict; None where there is none.
      group: examples of one group choose among the same candidates, each of which is right once at most.
    """

    id: int | str
    inputs: Texts | MarkedSpans | Choices
    label: int | float | None
    group: int | str | None = None


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """How raw inputs are made of records.

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
      versions: names for a version of the test set, by the version (`1.0`, `1.1`) that stands in the test file's name;
        the last one is that of a test file without a version. Written beside `file`.
    """

    file: str
    format: str
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TfdsSource:
    """Where TensorFlow Datasets has a task.

    Attributes:
      names: data sets, such as `glue/cola`, all of which are read.
      splits: TFDS's split by ours; those that it lacks are left out.
      columns: the record's key by the key of TFDS, where they differ.
    """

    names: tuple[str, ...]
    splits: Mapping[str, str] = dataclasses.field(
        default_factory=lambda: {"train": "train", "dev": "validation", "test": "test"}
    )
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)


def files(train: str = "train.json", dev: str = "dev.json", test: str = "test.json") -> dict[str, SplitFiles]:
    """Returns the files of each split; `|` stands between names to choose from and `+` between files read together."""
    return {
        split: tuple(tuple(names.split("+")) for names in choices.split("|"))
        for split, choices in zip(SPLITS, (train, dev, test), strict=True)
        if choices
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """A task that one of the models is fine-tuned on.

    Attributes:
      name: for `--task_name`.
      description: one line.
      form: `classification`, `regression`, `multiple_choice` or `spans`.
      texts: makes the raw inputs of a record: `Texts`, `MarkedSpans`, `Choices` or `Question`.
      pair: whether there are two texts.
      inputs: kind of the inputs, see `TaskConfig`.
      records: reads a file; takes its path and the flag that named it.
      files: see `files`.
      companions: further files that `records` reads, beside a split's own.
      directories: names of the official download's folder, to find the data by.
      label_key: the record's key for the label, the score or the index of the right choice.
      id_keys: the record's keys for its id, the first that is there.
      labels: all labels; None to take them from `labels.json`, or from the training file.
      no_gold_labels: labels that stand for none: the annotators did not agree. Such examples are left out.
      score_range: of a regression.
      choices: candidates an example has at most, in multiple choice.
      null_answers: whether a question may have no answer, in span extraction.
      augmentation: what `--data_augmentation` does, where the task has one.
      copies: how often a record is trained on, with augmentation.
      metrics: names in `metrics.METRICS`; the first one chooses the best checkpoint.
      positive_label: the label that `f1` is of.
      leaderboard: the file for it.
      download_page: where the data are to be had.
      defaults: values of flags that are not given, by flag; others are BERT's.
      defaults_source: where these values were published.
      agreement_weight: λ of eq. (2).
      tfds: where TensorFlow Datasets has it.
      trained_as: the task whose model this one is evaluated with, where it has no training data of its own.
      also: names of tasks which a model of this one is evaluated on too, where their files are there.
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
    """Returns a `Task.texts` that takes one text or two from these keys or columns of a record."""
    return lambda record, options: Texts(*(record.string(name) for name in names))
