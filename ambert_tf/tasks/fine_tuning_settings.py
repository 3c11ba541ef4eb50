"""The settings that all fine-tuning has in common."""

import dataclasses
import math
from typing import Any

from ambert_tf.errors import InputError
from ambert_tf.training.settings import TrainingSettings, above_zero, at_least, require, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class FineTuningSettings(TrainingSettings):
    """What every fine-tuning program takes, under the flags' names."""

    task_name: str = setting("", "The task.")
    data_dir: str = setting("", "Directory with the task's files.")
    do_train: bool = setting(False, "Train.")
    do_eval: bool = setting(False, "Evaluate on the development file; also at each checkpoint of training.")
    do_predict: bool = setting(False, "Predict the test file, which needs no labels.")
    train_file: str | None = setting(None, "Another training file than the task's, in --data_dir or anywhere.")
    eval_file: str | None = setting(None, "Another development file than the task's.")
    predict_file: str | None = setting(None, "Another test file than the task's.")
    init_checkpoint: str | None = setting(
        None, "Model directory whose encoder to start from; without --do_train, the fine-tuned model to run."
    )
    tokenizer_dir: str | None = setting(None, "With --config: tokenizer directory.")
    max_seq_length: int = setting(128, "Longest fine sequence; longer texts are cut.")
    max_coarse_seq_length: int | None = setting(None, "Longest coarse sequence; by default --max_seq_length.")
    eval_batch_size: int = setting(64, "Sequences an evaluation step.")
    predict_batch_size: int = setting(64, "Sequences a prediction step.")
    num_train_epochs: float = setting(3.0, "Times that training takes all examples.")
    learning_rate: float = setting(3e-5, "Highest learning rate.")
    warmup_proportion: float = setting(0.1, "Share of the updates over which the rate rises.")
    bias_correction: bool = setting(True, "Adam's bias correction; few examples train unstably without.")
    agreement_weight: float = setting(1.0, "Weight of the agreement of the fine and the coarse head (eq. (2)'s λ).")
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

    def validate(self) -> None:
        """Raises an InputError if a value is out of range or flags do not go together."""
        require(self, "output_dir")
        if not (self.do_train or self.do_eval or self.do_predict):
            raise InputError("nothing to do: give at least one of --do_train, --do_eval and --do_predict")
        super().validate()
        at_least(self, 1, "predict_batch_size")
        above_zero(self, "num_train_epochs")
        if not 0 <= self.warmup_proportion < 1:
            raise InputError(f"--warmup_proportion={self.warmup_proportion}: must be from 0 to below 1")
        if self.agreement_weight < 0:
            raise InputError(f"--agreement_weight={self.agreement_weight}: must not be negative")
        if self.do_train and self.init_checkpoint and self.config:
            raise InputError("--init_checkpoint and --config are both set; a model directory has its own configuration")
        if self.do_train and not self.init_checkpoint and not (self.config and self.tokenizer_dir):
            raise InputError(
                "--init_checkpoint is needed, a model directory such as run_pretraining.py's; or --config and "
                "--tokenizer_dir, to train from new weights"
            )
