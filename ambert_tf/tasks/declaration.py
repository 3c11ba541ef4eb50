"""What a classification task is: a short declaration of its files, its records and its labels."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from ambert_tf.tasks.json_lines import Record

SPLITS = ("train", "dev", "test")


class Texts(NamedTuple):
    """The text or the two texts of an example."""

    text: str
    text_pair: str | None = None


class Label(NamedTuple):
    """A label as the data write it, and a word for it where there is one."""

    name: str
    description: str = ""


class Example(NamedTuple):
    """One example of a data set.

    Attributes:
      id: as the data give it, or the number of its record, from 0.
      texts: what is classified.
      label: index of its label; None where it has none.
    """

    id: int | str
    texts: Texts
    label: int | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassificationTask:
    """A task that gives a text, or a pair of texts, one of several labels.

    Attributes:
      name: for `--task_name`.
      description: one line.
      texts: takes the texts out of a record; the flag is whether to augment them.
      pair: whether there are two texts.
      files: the file of each split, in `--data_dir`; JSON lines.
      label_key: the record's key for the label.
      labels: all labels; None to take them from `labels.json`, or from the training file.
      augmentation: what `--data_augmentation` does, where the task has one.
      leaderboard_file: file name of the predictions that the leaderboard takes.
      download_page: where the data are to be had.
    """

    name: str
    description: str
    texts: Callable[[Record, bool], Texts]
    pair: bool = False
    files: dict[str, str] = dataclasses.field(
        default_factory=lambda: {"train": "train.json", "dev": "dev.json", "test": "test.json"}
    )
    label_key: str = "label"
    labels: tuple[Label, ...] | None = None
    augmentation: str | None = None
    leaderboard_file: str | None = None
    download_page: str | None = None
