"""The settings that all fine-tuning has in common."""

import dataclasses
import math
import os
from typing import Any, TypeVar

from ambert_tf.errors import InputError
from ambert_tf.flags import above_zero, at_least, require, setting
from ambert_tf.tasks.declaration import Task
from ambert_tf.training.settings import TrainingSettings

SettingsT = TypeVar("SettingsT", bound="FineTuningSettings")

# Where a pre-trained model is looked for without --init_checkpoint.
DEFAULT_MODEL = "pretrained"
DEFAULT_OUTPUT = "output"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FineTuningSettings(TrainingSettings):
    """What every fine-tuning program takes, under the flags' names.

    What is None by default is filled in by `for_task`: from then on it is what its type says.
    """

    task_name: str = setting("", "The task; a wrong name lists them all.")
    task_file: str | None = setting(None, "Instead: a Python file with TASK = Task(...), a declaration of your own.")
    data_dir: str = setting("", "Directory with the task's files; looked for in $AMBERT_DATA or data/ by default.")
    output_dir: str = setting("", "Model directory that training makes, results too; output/TASK by default.")
    data_source: str = setting("files", "The official files, or TensorFlow Datasets.", ("files", "tfds"))
    tfds_data_dir: str | None = setting(None, "With --data_source=tfds: its data directory.")
    do_train: bool = setting(False, "Train. Without any --do_…: train, evaluate, and predict if there is a test file.")
    do_eval: bool = setting(False, "Evaluate on the development file; also at each checkpoint of training.")
    do_predict: bool = setting(False, "Predict the test file, which needs no labels.")
    train_file: str | None = setting(None, "Other training files than the task's, in --data_dir or anywhere.")
    eval_file: str | None = setting(None, "Other development files than the task's.")
    predict_file: str | None = setting(None, "Other test files than the task's.")
    init_checkpoint: str | None = setting(
        None,
        "Model directory whose encoder to start from, pretrained/ by default; without --do_train, the fine-tuned model "
        "to run.",
    )
    tokenizer_dir: str | None = setting(None, "With --config: tokenizer directory.")
    max_examples: int = setting(0, "Read only so many records of each split, for a quick try; 0 for all.")
    max_eval_examples: int = setting(0, "Of the development and the test split, instead of --max_examples.")
    data_augmentation: bool = setting(True, "The paper's data augmentation (Appendix D), where the task has one.")
    max_seq_length: int = setting(None, "Longest fine sequence; longer texts are cut. By default the task's.")
    max_coarse_seq_length: int | None = setting(None, "Longest coarse sequence; by default --max_seq_length.")
    train_batch_size: int = setting(None, "Examples an update, over all replicas; by default the task's.")
    eval_batch_size: int = setting(64, "Examples an evaluation step.")
    predict_batch_size: int = setting(64, "Examples a prediction step.")
    num_train_epochs: float = setting(None, "Times that training takes all examples; by default the task's.")
    learning_rate: float = setting(None, "Highest learning rate; by default the task's.")
    warmup_proportion: float = setting(None, "Share of the updates over which the rate rises; the task's.")
    bias_correction: bool = setting(True, "Adam's bias correction; few examples train unstably without.")
    agreement_weight: float = setting(
        None, "Weight of the agreement of the fine and the coarse head (eq. (2)'s λ); by default the paper's."
    )
    agreement_of: str = setting("probabilities", "What of the two heads is to agree.", ("probabilities", "logits"))
    agreement_squared: bool = setting(False, "Square the distance of the two heads.")
    inference: str = setting(
        "joint",
        "Evaluate and predict with both grains, or with one grain's encoder and head alone.",
        ("joint", "fine", "coarse"),
    )
    save_checkpoints_steps: int | None = setting(None, "Updates between two checkpoints; by default one an epoch.")
    keep_checkpoints: int = setting(1, "Checkpoints to keep.")
    log_steps: int = setting(50, "Updates between two lines of progress and of metrics.jsonl.")
    keep_best: bool = setting(True, "With --do_eval: keep the checkpoint best by the task's metric.")
    early_stopping_patience: int = setting(0, "Stop after so many evaluations without a better one; 0 for never.")
    num_runs: int = setting(1, "Runs with seeds from --random_seed on; mean and deviation are reported, the best kept.")
    grid_learning_rates: str = setting("", "Learning rates to try, separated by commas: the best on the dev file wins.")
    grid_batch_sizes: str = setting("", "Batch sizes to try, likewise.")

    def for_task(self: SettingsT, task: Task, data_dir: str | None, has_test: bool) -> SettingsT:
        """Returns the settings with the task's own where none are given.

        Args:
          task: its declaration.
          data_dir: where its files were found.
          has_test: whether there is a test file to predict, if nothing says what to do.
        """
        preset = task.preset
        values: dict[str, Any] = {
            name: getattr(preset, name)
            for name in (field.name for field in dataclasses.fields(preset))
            if hasattr(self, name) and getattr(self, name) is None
        }
        if self.agreement_weight is None:
            values["agreement_weight"] = task.agreement_weight
        if not self.data_dir and data_dir:
            values["data_dir"] = data_dir
        if not self.output_dir:
            values["output_dir"] = os.path.join(DEFAULT_OUTPUT, task.name)
        training = self.do_train
        if not (self.do_train or self.do_eval or self.do_predict):
            values.update(do_train=True, do_eval=True, do_predict=has_test)
            training = True
        if training and not (self.init_checkpoint or self.config) and os.path.isdir(DEFAULT_MODEL):
            values["init_checkpoint"] = DEFAULT_MODEL
        return dataclasses.replace(self, **values)

    @property
    def agreement(self) -> dict[str, Any]:
        """The arguments of eq. (2)'s last term."""
        return {
            "agreement_weight": self.agreement_weight,
            "agreement_of": self.agreement_of,
            "agreement_squared": self.agreement_squared,
        }

    def steps_per_epoch(self, num_examples: int) -> int:
        """Returns the updates that it takes to see each of so many examples once."""
        return math.ceil(num_examples / self.train_batch_size)

    def num_train_steps(self, num_examples: int) -> int:
        """Returns the updates of the whole training on so many examples."""
        return max(1, math.ceil(num_examples / self.train_batch_size * self.num_train_epochs))

    def num_warmup_steps(self, num_examples: int) -> int:
        """Returns the updates over which the rate rises."""
        return int(self.num_train_steps(num_examples) * self.warmup_proportion)

    @property
    def learning_rates(self) -> list[float]:
        """The learning rates to train with."""
        return _numbers(self.grid_learning_rates, float, "grid_learning_rates") or [self.learning_rate]

    @property
    def batch_sizes(self) -> list[int]:
        """The batch sizes to train with."""
        return _numbers(self.grid_batch_sizes, int, "grid_batch_sizes") or [self.train_batch_size]

    def validate(self) -> None:
        """Raises an InputError if a value is out of range or flags do not go together; call it after `for_task`."""
        require(self, "output_dir")
        super().validate()
        at_least(self, 1, "predict_batch_size", "num_runs")
        at_least(self, 0, "early_stopping_patience", "max_examples", "max_eval_examples")
        above_zero(self, "num_train_epochs")
        if not 0 <= self.warmup_proportion < 1:
            raise InputError(f"--warmup_proportion={self.warmup_proportion}: must be from 0 to below 1")
        if self.agreement_weight < 0:
            raise InputError(f"--agreement_weight={self.agreement_weight}: must not be negative")
        several = self.num_runs * len(self.learning_rates) * len(self.batch_sizes) > 1
        if several and not (self.do_train and self.do_eval):
            raise InputError("--num_runs and --grid_…: need --do_train and --do_eval, which compares the runs")
        if self.early_stopping_patience and not self.do_eval:
            raise InputError(f"--early_stopping_patience={self.early_stopping_patience}: needs --do_eval")
        if self.do_train and self.init_checkpoint and self.config:
            raise InputError("--init_checkpoint and --config are both set; a model directory has its own configuration")
        if self.do_train and not self.init_checkpoint and not (self.config and self.tokenizer_dir):
            raise InputError(
                "--init_checkpoint is needed, a model directory such as run_pretraining.py's "
                f"(./{DEFAULT_MODEL} is not there); or --config and --tokenizer_dir, to train from new weights"
            )


def _numbers(text: str, kind: Any, flag: str) -> list[Any]:
    try:
        values = [kind(part) for part in text.split(",") if part.strip()]
    except ValueError:
        values = [0]
    if any(not value > 0 for value in values):
        raise InputError(f"--{flag}={text}: must be numbers above 0 separated by commas")
    return values
