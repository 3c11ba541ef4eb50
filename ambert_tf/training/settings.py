"""The settings shared by all training programs."""

import dataclasses
from typing import ClassVar

from ambert_tf.errors import InputError
from ambert_tf.flags import above_zero, at_least, check_choices, check_seed, require, setting
from ambert_tf.models.config import MODEL_TYPES, ModelConfig
from ambert_tf.outputs import check_writable

OPTIMIZERS = ("adamw", "lamb")
METRICS_FILE = "metrics.jsonl"
EVALUATION_PREFIX = "eval_"  # prefix of evaluation metrics in METRICS_FILE
SCHEDULES = ("linear", "cosine", "wsd")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Settings shared by all training programs. Subclasses add fields or change defaults.

    Example:
      >>> TrainingSettings(output_dir="run", use_bf16=True).precision
      'bfloat16'
    """

    # Settings that may change when a run resumes. Changes of other settings cause a warning.
    MAY_CHANGE: ClassVar[tuple[str, ...]] = (
        "output_dir", "tokenizer_dir", "config", "init_checkpoint", "eval_batch_size", "save_checkpoints_steps",
        "keep_checkpoints", "log_steps", "steps_per_loop", "on_nonfinite", "num_replicas",
    )  # fmt: skip

    output_dir: str = setting(
        "", "Model directory to write: checkpoints, config.json, tokenizer, metrics.jsonl, TensorBoard logs, results."
    )
    tokenizer_dir: str | None = setting(None, "Tokenizer directory.")
    config: str | None = setting(
        None, "Preset (tiny, mini, small, base), config.json or bert_config.json of a randomly initialized model."
    )
    model_type: str | None = setting(
        None, "Model type, for --config. Defaults to that of the configuration, or ambert for a preset.", MODEL_TYPES
    )
    init_checkpoint: str | None = setting(
        None,
        "Initial checkpoint: a model directory or checkpoint, a checkpoint of Google's BERT, or a directory of Hugging "
        "Face's.",
    )
    do_lower_case: bool | None = setting(
        None,
        "Whether the BERT in --init_checkpoint is uncased. Default: detected from its tokenizer files or vocabulary.",
    )
    train_batch_size: int = setting(32, "Global batch size for training.")
    eval_batch_size: int = setting(32, "Batch size for evaluation.")
    optimizer: str = setting("adamw", "Optimizer: adamw, as in BERT, or lamb, for large batches.", OPTIMIZERS)
    learning_rate: float = setting(1e-4, "Peak learning rate.")
    learning_rate_schedule: str = setting(
        "linear", "Decay after warm-up: linear (as in BERT), cosine, or wsd (constant until the last tenth).", SCHEDULES
    )
    weight_decay: float = setting(0.01, "Decoupled weight decay, not applied to layer norms and biases.")
    bias_correction: bool = setting(True, "Adam's bias correction. BERT's pre-training code has none.")
    dropout: float | None = setting(
        None, "Dropout rate of hidden states and attention in training. Defaults to the configuration's."
    )
    save_checkpoints_steps: int | None = setting(1000, "Steps between checkpoints.")
    keep_checkpoints: int = setting(3, "Number of checkpoints to keep.")
    log_steps: int = setting(100, "Steps between log lines and lines of metrics.jsonl.")
    steps_per_loop: int = setting(1, "Training steps per call of the graph.")
    gradient_accumulation_steps: int = setting(
        1, "Number of parts into which each replica splits its batch, to save memory."
    )
    on_nonfinite: str = setting(
        "stop", "If a loss or gradient is not finite: stop, or skip the step and continue.", ("stop", "skip")
    )
    use_fp16: bool = setting(False, "Train in mixed precision with float16 and dynamic loss scaling.")
    use_bf16: bool = setting(False, "Train in mixed precision with bfloat16.")
    use_xla: bool = setting(False, "Compile with XLA. Every batch is padded to the maximum sequence length.")
    num_replicas: int | None = setting(
        None, "Number of GPUs to use, or of logical CPU devices on a machine without a GPU. Defaults to all GPUs."
    )
    random_seed: int = setting(12345, "Random seed of initial weights, dropout, data order and dynamic masks.")

    @property
    def precision(self) -> str:
        """`float32`, `bfloat16` or `float16`: a key of `precision.POLICIES`."""
        return "float16" if self.use_fp16 else "bfloat16" if self.use_bf16 else "float32"

    def training_config(self, config: ModelConfig) -> ModelConfig:
        """Returns the configuration to train with: `config`, with `dropout` applied if it is set."""
        if self.dropout is None:
            return config
        return dataclasses.replace(config, hidden_dropout_prob=self.dropout, attention_probs_dropout_prob=self.dropout)

    def validate(self) -> None:
        """Raises an InputError if a value is out of range or flags are incompatible."""
        check_choices(self)
        require(self, "output_dir")
        check_writable(self.output_dir, "output_dir")
        at_least(self, 1, "train_batch_size", "eval_batch_size", "save_checkpoints_steps", "keep_checkpoints")
        at_least(self, 1, "log_steps", "steps_per_loop", "gradient_accumulation_steps", "num_replicas")
        at_least(self, 0, "weight_decay")
        above_zero(self, "learning_rate")
        check_seed(self)
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise InputError(f"--dropout={self.dropout}: must be in [0, 1)")
        if self.use_fp16 and self.use_bf16:
            raise InputError("--use_fp16 and --use_bf16 are both set; choose one")
