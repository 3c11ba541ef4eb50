"""What differs between forms of tasks: how records become examples, how predictions are scored and written."""

import abc
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from ambert_tf.finetuning.splits import Split
from ambert_tf.finetuning.tokenized_examples import TokenizedExamples
from ambert_tf.models.task_config import TaskConfig
from ambert_tf.tasks.declaration import Task
from ambert_tf.tasks.json_lines import Record


class Logits(NamedTuple):
    """Logits of all heads over a split.

    Attributes:
      by_head: float32 [examples, classes] by name of the head, of multiple choice [examples, choices]; of spans
        [windows, fine_length, 2], -1e9 at padding.
      examples_per_second: rate of the model alone, without the first batch, which traces the graph.
      coarse_heads: heads that read coarse tokens only, whose logits are equal for all fine tokens inside one.
    """

    by_head: Mapping[str, np.ndarray]
    examples_per_second: float
    coarse_heads: frozenset[str] = frozenset()


class Form(abc.ABC):
    """A form of tasks.

    Args:
      task: the declaration.
      config: labels, lengths and decoding of the model.
    """

    def __init__(self, task: Task, config: TaskConfig) -> None:
        self.task = task
        self.config = config

    @abc.abstractmethod
    def read(self, records: Iterable[Record], split: str, files: tuple[str, ...], needs_labels: bool) -> Split:
        """Reads a split; raises an InputError for an invalid record."""

    @abc.abstractmethod
    def scores(self, logits: Logits, data: TokenizedExamples, heads: Iterable[str]) -> dict[str, float]:
        """Returns the task's metrics: those of the joint head under their names, of another head as in `fine_f1`."""

    def table(self, logits: Logits, data: TokenizedExamples) -> list[str]:
        """Returns the lines of a table of errors; empty for no table."""
        return []

    def write_evaluation(self, output_dir: str, logits: Logits, data: TokenizedExamples) -> dict[str, float]:
        """Writes further files of an evaluation; returns further results."""
        return {}

    @abc.abstractmethod
    def write_predictions(self, output_dir: str, logits: Logits, data: TokenizedExamples) -> None:
        """Writes the predictions of a split, and the leaderboard's file."""
