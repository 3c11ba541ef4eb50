"""The flags of `run_classifier.py` as values."""

import dataclasses
from typing import Any

from ambert_tf.errors import InputError

AT_LEAST_ONE = (
    "train_batch_size",
    "eval_batch_size",
    "predict_batch_size",
    "keep_checkpoints",
    "log_steps",
    "steps_per_loop",
    "gradient_accumulation_steps",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassificationSettings:
    """The flags of `run_classifier.py`, under their names; see there for what each means."""

    task_name: str
    output_dir: str
    data_dir: str = ""
    train_file: str | None = None
    eval_file: str | None = None
    predict_file: str | None = None
    do_train: bool = False
    do_eval: bool = False
    do_predict: bool = False
    init_checkpoint: str | None = None
    config: str | None = None
    model_type: str | None = None
    tokenizer_dir: str | None = None
    data_augmentation: bool = True
    max_seq_length: int = 128
    max_coarse_seq_length: int | None = None
    train_batch_size: int = 32
    eval_batch_size: int = 64
    predict_batch_size: int = 64
    num_train_epochs: float = 3.0
    learning_rate: float = 3e-5
    warmup_proportion: float = 0.1
    weight_decay: float = 0.01
    bias_correction: bool = True
    agreement_weight: float = 1.0
    agreement_of: str = "probabilities"
    agreement_squared: bool = False
    inference: str = "joint"
    save_checkpoints_steps: int | None = None
    keep_checkpoints: int = 1
    log_steps: int = 50
    steps_per_loop: int = 1
    gradient_accumulation_steps: int = 1
    use_fp16: bool = False
    use_bf16: bool = False
    use_xla: bool = False
    num_replicas: int | None = None
    random_seed: int = 12345

    @property
    def agreement(self) -> dict[str, Any]:
        """The arguments of eq. (2)'s last term."""
        return {
            "agreement_weight": self.agreement_weight,
            "agreement_of": self.agreement_of,
            "agreement_squared": self.agreement_squared,
        }

    def validate(self) -> None:
        """Raises an InputError if a value is out of range or flags do not go together."""
        if not self.output_dir:
            raise InputError("--output_dir is needed")
        if not (self.do_train or self.do_eval or self.do_predict):
            raise InputError("nothing to do: give at least one of --do_train, --do_eval and --do_predict")
        for name in AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise InputError(f"--{name}={getattr(self, name)}: must be at least 1")
        if self.save_checkpoints_steps is not None and self.save_checkpoints_steps < 1:
            raise InputError(f"--save_checkpoints_steps={self.save_checkpoints_steps}: must be at least 1")
        for name in ("num_train_epochs", "learning_rate"):
            if not getattr(self, name) > 0:
                raise InputError(f"--{name}={getattr(self, name)}: must be above 0")
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
