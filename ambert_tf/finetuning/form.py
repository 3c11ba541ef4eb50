"""What differs between forms of tasks: how examples are read, fed, scored and written."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from ambert_tf.finetuning.fine_tuning_objective import fine_tuning_loss
from ambert_tf.finetuning.prediction import Logits
from ambert_tf.finetuning.tokenized import TokenizedExamples
from ambert_tf.models.task_config import TaskConfig
from ambert_tf.tasks.declaration import Task
from ambert_tf.tasks.json_lines import Record
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer


@dataclasses.dataclass
class Split:
    """A split that was read, and tokenized once it is needed.

    Attributes:
      name: `train`, `dev` or `test`.
      files: the paths, for messages.
      examples: of the form's own kind.
      counts: what the results say about reading, such as how many examples were left out.
      data: the model's inputs; None until `Form.tokenize`.
      details: whatever else the form keeps of them.
    """

    name: str
    files: tuple[str, ...]
    examples: list[Any]
    counts: dict[str, int]
    data: TokenizedExamples | None = None
    details: Any = None

    def describe(self, rows: Iterable[int]) -> str:
        """Returns in words which examples rows of `data` were made of, by the ids of the data."""
        owners = getattr(self.details, "example", None)  # of spans: a row is a window on a question
        numbers = dict.fromkeys(int(row if owners is None else owners[row]) for row in rows)
        ids = ", ".join(str(self.examples[number].id) for number in numbers)
        return f"the examples with id {ids} of {' and '.join(self.files)}"


class Form(Protocol):
    """One form of tasks.

    Attributes:
      task: the declaration.
      fine_tuned: the labels and lengths of the model.
    """

    task: Task
    fine_tuned: TaskConfig

    def read(self, records: Iterable[Record], split: str, files: tuple[str, ...], needs_labels: bool) -> Split:
        """Reads a split; raises an InputError for a wrong record."""

    def tokenize(self, split: Split, tokenizer: MultiGrainedTokenizer, fixed_lengths: bool = False) -> None:
        """Gives a split its `data`."""

    def scores(self, logits: Logits, split: Split, heads: Iterable[str]) -> dict[str, float]:
        """Returns the task's metrics, those of `joint` under their own names, of another head as `fine_f1`."""

    def table(self, logits: Logits, split: Split) -> list[str]:
        """Returns lines that show where the errors are, if there is something to show."""

    def write_predictions(self, output_dir: str, logits: Logits, split: Split) -> None:
        """Writes what is predicted for a split, and the leaderboard's file."""

    def write_evaluation(self, output_dir: str, logits: Logits, split: Split) -> dict[str, float]:
        """Writes what an evaluation leaves beside its results; returns what it adds to them."""


def evaluation_loss(
    form: str, logits: Mapping[str, np.ndarray], targets: Mapping[str, np.ndarray], agreement: Mapping[str, Any]
) -> dict[str, float]:
    """Returns eq. (2) and its parts over a data set."""
    loss, parts = fine_tuning_loss(
        form,
        {name: tf.constant(values) for name, values in logits.items()},
        {name: tf.constant(values) for name, values in targets.items()},
        **agreement,
    )
    return {"loss": float(loss), **{name: float(value) for name, value in parts.items()}}
