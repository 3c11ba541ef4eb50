"""`task.json`: what a fine-tuned model directory says beside its configuration and its tokenizer."""

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

from ambert_tf.errors import InputError
from ambert_tf.files import atomic_path
from ambert_tf.tasks.declaration import CLASSIFICATION, NO_AUGMENTATION, PLAIN, SPANS
from ambert_tf.training.checkpoints import ModelDirectory, load_model_directory

TASK_FILE = "task.json"
FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class FineTunedTask:
    """What prediction and serving have to know of the task that a model was fine-tuned on.

    Attributes:
      task_name: as given to `--task_name`.
      form: `classification`, `regression`, `multiple_choice` or `spans`.
      labels: in the order of the logits; of a classification.
      label_descriptions: a word for each label, or none at all.
      pair: whether an example is two texts.
      max_seq_length: fine tokens at most, [CLS] and [SEP] included.
      max_coarse_seq_length: coarse tokens at most.
      data_augmentation: whether the task's data augmentation was on, and what it is.
      choices: candidates an example has at most, in multiple choice.
      doc_stride: fine tokens between the beginnings of two windows on a long context; of spans, as what follows.
      max_query_length: fine tokens of a question at most.
      max_answer_length: fine tokens of an answer at most.
      null_answers: whether a question may have no answer.
      score_range: a predicted score is cut to it; of a regression, None for none.
      inputs: what an export takes: `plain` texts; `marked_spans`, a text and two places in it (CLUEWSC2020); `idioms`,
        a text with blanks and candidates for one (ChID).
    """

    task_name: str
    labels: tuple[str, ...] = ()
    label_descriptions: tuple[str, ...] = ()
    pair: bool = False
    max_seq_length: int
    max_coarse_seq_length: int
    data_augmentation: str = NO_AUGMENTATION
    form: str = CLASSIFICATION
    choices: int = 0
    doc_stride: int = 128
    max_query_length: int = 64
    max_answer_length: int = 30
    null_answers: bool = False
    score_range: tuple[float, float] | None = None
    inputs: str = PLAIN

    @property
    def num_outputs(self) -> int:
        """Logits a head gives for a sequence, or in spans for a position."""
        return {CLASSIFICATION: len(self.labels), SPANS: 2}.get(self.form, 1)

    def write(self, model_dir: str) -> None:
        """Writes `task.json`, or checks that the one that is there says the same.

        Raises:
          InputError: the directory holds a model of another task.
        """
        path = os.path.join(model_dir, TASK_FILE)
        if os.path.exists(path):
            found = read_task(model_dir, "output_dir")
            for field in dataclasses.fields(self):
                ours, theirs = getattr(self, field.name), getattr(found, field.name)
                if ours != theirs:
                    raise InputError(
                        f"--output_dir={model_dir}: holds a model whose {field.name} is {_short(theirs)}, not "
                        f"{_short(ours)}; choose another directory"
                    )
            return
        with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            json.dump({"format_version": FORMAT_VERSION, **dataclasses.asdict(self)}, file, indent=2)
            file.write("\n")


def is_fine_tuned(model_dir: str) -> bool:
    """Returns whether a directory has a `task.json`."""
    return os.path.isfile(os.path.join(model_dir, TASK_FILE))


def read_task(model_dir: str, flag: str) -> FineTunedTask:
    """Reads `task.json`.

    Raises:
      InputError: it is missing or is not what this version writes.
    """
    path = os.path.join(model_dir, TASK_FILE)
    if not os.path.isfile(path):
        raise InputError(
            f"--{flag}={model_dir}: has no {TASK_FILE}, so it is no fine-tuned model; run_classifier.py --do_train "
            "makes one"
        )
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        if content.pop("format_version") != FORMAT_VERSION:
            raise InputError(f"{path}: format_version is not {FORMAT_VERSION}, which this version reads")
        return task_from_dict(content)
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is no task file of this project ({error})") from None


def task_from_dict(content: Mapping[str, Any]) -> FineTunedTask:
    """Returns the task whose fields JSON gives; raises a TypeError where it has others."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
    }
    return FineTunedTask(**values)


def load_fine_tuned(model_dir: str, flag: str) -> tuple[FineTunedTask, ModelDirectory]:
    """Returns the task and the parts of a fine-tuned model directory.

    Raises:
      InputError: it is none.
    """
    directory = load_model_directory(model_dir, flag)
    return read_task(model_dir, flag), directory


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + "..."
