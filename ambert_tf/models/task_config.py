"""`TaskConfig`, the contents of `task.json`: the contract between fine-tuning and serving."""

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

from ambert_tf.errors import InputError
from ambert_tf.files import is_file, parse_json, read_bytes
from ambert_tf.models.preset_files import preset_task_name
from ambert_tf.models.tagging_schemes import TagSet
from ambert_tf.outputs import atomic_path

TASK_FILE = "task.json"
FORMAT_VERSION = 1

# Task forms: what the model predicts.
CLASSIFICATION = "classification"
REGRESSION = "regression"
MULTIPLE_CHOICE = "multiple_choice"
SPANS = "spans"
SEQUENCE_LABELLING = "sequence_labelling"
FORMS = (CLASSIFICATION, REGRESSION, MULTIPLE_CHOICE, SPANS, SEQUENCE_LABELLING)
# Input kinds: how the strings of an example become sequences.
PLAIN = "plain"
MARKED_SPANS = "marked_spans"
IDIOMS = "idioms"

NO_AUGMENTATION = "none"
# Fields that are used only in decoding. A model can be re-evaluated with other values.
DECODING_FIELDS = ("max_answer_length", "n_best_size", "null_score_diff_threshold")
TAGGING_FIELDS = ("tagging_scheme", "crf")
SPAN_FIELDS = ("doc_stride", "max_query_length", *DECODING_FIELDS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """The task that a model was fine-tuned on, as needed for prediction and serving.

    Attributes:
      task_name: value of `--task_name`.
      form: `classification`, `regression`, `multiple_choice`, `spans` or `sequence_labelling`.
      inputs: `plain` texts; `marked_spans`, a text and two spans in it (CLUEWSC2020); `idioms`, a text with a blank and
        candidates for it (ChID).
      labels: for classification, the labels in the order of the logits; for sequence labelling, those of the spans.
      label_descriptions: one word per label, or empty.
      pair: whether an example has two texts.
      max_seq_length: maximum number of fine tokens, including [CLS] and [SEP].
      max_coarse_seq_length: maximum number of coarse tokens, including [CLS] and [SEP].
      data_augmentation: name of the data augmentation used in training, or `none`.
      choices: multiple choice only. Maximum number of choices per example.
      score_range: regression only. Predicted scores are clipped to this range. None for no range.
      doc_stride: spans and sequence labelling. Fine tokens between the starts of consecutive windows.
      max_query_length: spans only, like the four that follow. Maximum number of fine tokens in a question.
      max_answer_length: maximum number of fine tokens in an answer.
      null_answers: whether a question may have no answer.
      n_best_size: number of start and end positions considered per window, and of answers kept per question.
      null_score_diff_threshold: no answer is predicted if the null score exceeds the score of the best answer by more
        than this.
      tagging_scheme: sequence labelling only, like the two that follow. A key of `tagging_schemes.SCHEMES`.
      outside: whether a token may be outside of all spans.
      crf: whether the model has a linear-chain CRF.
    """

    task_name: str
    form: str = CLASSIFICATION
    inputs: str = PLAIN
    labels: tuple[str, ...] = ()
    label_descriptions: tuple[str, ...] = ()
    pair: bool = False
    max_seq_length: int
    max_coarse_seq_length: int
    data_augmentation: str = NO_AUGMENTATION
    choices: int = 0
    score_range: tuple[float, float] | None = None
    doc_stride: int = 128
    max_query_length: int = 64
    max_answer_length: int = 30
    null_answers: bool = False
    n_best_size: int = 20
    null_score_diff_threshold: float = 0.0
    tagging_scheme: str = "BIO"
    outside: bool = True
    crf: bool = False

    @property
    def num_outputs(self) -> int:
        """Number of logits per sequence or, for spans and sequence labelling, per position."""
        if self.form == SEQUENCE_LABELLING:
            return len(self.tag_set.tags)
        return {CLASSIFICATION: len(self.labels), SPANS: 2}.get(self.form, 1)

    @property
    def tag_set(self) -> TagSet:
        """The tags of sequence labelling."""
        return TagSet(self.labels, self.tagging_scheme, self.outside)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "TaskConfig":
        """Creates a configuration from a JSON object. Unknown fields raise a TypeError."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
        }
        return cls(**values)

    @classmethod
    def read(cls, model_dir: str, flag: str = "model_dir") -> "TaskConfig":
        """Reads `task.json`.

        Args:
          model_dir: the model directory.
          flag: the flag that named it, for error messages.

        Raises:
          InputError: there is no `task.json`, or it is invalid.
        """
        path = os.path.join(model_dir, TASK_FILE)
        if not is_file(path):
            raise InputError(
                f"--{flag}={model_dir}: has no {TASK_FILE}, so it is not a fine-tuned model; run_classifier.py "
                "--do_train makes one"
            )
        try:
            content = parse_json(read_bytes(path))
            if content.pop("format_version") != FORMAT_VERSION:
                raise InputError(f"{path}: format_version is not {FORMAT_VERSION}, the only one supported")
            return cls.from_dict(content)
        except InputError:
            raise
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            raise InputError(f"{path}: not a valid {TASK_FILE} ({error})") from None

    def check_same(self, model_dir: str) -> None:
        """Checks that a model directory, if it has a `task.json`, contains a model for the same task.

        Raises:
          InputError: it contains a model for another task.
        """
        if is_file(os.path.join(model_dir, TASK_FILE)):
            found = TaskConfig.read(model_dir, "output_dir")
            for field in dataclasses.fields(self):
                ours, theirs = getattr(self, field.name), getattr(found, field.name)
                if ours != theirs and field.name not in DECODING_FIELDS:
                    raise InputError(
                        f"--output_dir={model_dir}: contains a model with {field.name} {_short(theirs)}, not "
                        f"{_short(ours)}; choose another directory"
                    )

    def write(self, model_dir: str) -> None:
        """Writes `task.json`.

        Raises:
          InputError: the directory contains a model for another task.
        """
        self.check_same(model_dir)
        path = os.path.join(model_dir, TASK_FILE)
        with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            json.dump({"format_version": FORMAT_VERSION, **dataclasses.asdict(self)}, file, indent=2)
            file.write("\n")


def is_fine_tuned(model_dir: str) -> bool:
    """Returns whether a directory has a `task.json` of this project. KerasHub's presets have one of their own."""
    return is_file(os.path.join(model_dir, TASK_FILE)) and not preset_task_name(model_dir)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + "..."
