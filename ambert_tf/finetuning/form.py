"""`Form`: how the tasks of one form are read, scored and written."""

import abc
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from ambert_tf.finetuning.splits import Split
from ambert_tf.finetuning.tokenized_examples import TokenizedExamples
from ambert_tf.models.task_config import TaskConfig
from ambert_tf.tasks.declaration import Task
from ambert_tf.tasks.json_lines import Record


class Logits(NamedTuple):
    """Logits of all heads on a split.

    Attributes:
      by_head: logits by head, float32 [examples, classes]. For multiple choice, [examples, choices]. For spans,
        [windows, fine_length, 2], and for sequence labelling, [windows, fine_length, tags], -1e9 at padding.
      examples_per_second: speed of the model alone, excluding the first batch, which traces the graph.
      coarse_heads: heads that read only the coarse grain. Their logits are equal for all fine tokens inside a coarse
        token.
      transitions: for sequence labelling, the transition matrix of each head; see `linear_chain`.
    """

    by_head: Mapping[str, np.ndarray]
    examples_per_second: float
    coarse_heads: frozenset[str] = frozenset()
    transitions: Mapping[str, np.ndarray] = MappingProxyType({})


class Form(abc.ABC):
    """A task form, which defines reading, scoring and writing.

    Args:
      task: declaration of the task.
      config: the model's labels, lengths and decoding parameters.
    """

    def __init__(self, task: Task, config: TaskConfig) -> None:
        self.task = task
        self.config = config

    @abc.abstractmethod
    def read(self, records: Iterable[Record], split: str, files: tuple[str, ...], needs_labels: bool) -> Split:
        """Reads a split. An invalid record raises an InputError."""

    def write_facts(self, output_dir: str) -> None:  # noqa: B027  (a form may have none)
        """Writes what scores need to know of the training data into the model directory."""

    def read_facts(self, model_dir: str) -> None:  # noqa: B027
        """Reads what `write_facts` wrote, if it was written."""

    @abc.abstractmethod
    def scores(self, logits: Logits, data: TokenizedExamples, heads: Iterable[str]) -> dict[str, float]:
        """Returns the task's metrics. Those of single heads have a prefix, as in `fine_f1`."""

    def table(self, logits: Logits, data: TokenizedExamples) -> list[str]:
        """Returns the lines of a confusion table, or an empty list."""
        return []

    def write_evaluation(self, output_dir: str, logits: Logits, data: TokenizedExamples) -> dict[str, float]:
        """Writes additional files of an evaluation and returns additional results."""
        return {}

    @abc.abstractmethod
    def write_predictions(self, output_dir: str, logits: Logits, data: TokenizedExamples) -> None:
        """Writes the predictions of a split and the leaderboard's file."""
