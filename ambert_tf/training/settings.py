"""The settings that all training programs share."""

import dataclasses

from ambert_tf.errors import InputError
from ambert_tf.flags import above_zero, at_least, check_choices, require, setting
from ambert_tf.models.config import MODEL_TYPES

OPTIMIZERS = ("adamw", "lamb")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """What every training program takes; a program adds its own fields in a subclass, or gives other defaults.

    Example:
      >>> TrainingSettings(output_dir="run", use_bf16=True).precision
      'bfloat16'
    """

    output_dir: str = setting(
        "", "Model directory: checkpoints, config.json, tokenizer, metrics.jsonl, TensorBoard; results go there too."
    )
    tokenizer_dir: str | None = setting(None, "Tokenizer directory.")
    config: str | None = setting(
        None, "A preset (tiny, mini, small, base), or a config.json or bert_config.json, for new weights."
    )
    model_type: str | None = setting(
        None, "With --config: the model; by default the configuration's, ambert for a preset.", MODEL_TYPES
    )
    init_checkpoint: str | None = setting(
        None,
        "Whose weights to start from: a model directory or checkpoint, a checkpoint of Google's BERT, or a directory "
        "of Hugging Face's.",
    )
    train_batch_size: int = setting(32, "Sequences an update, over all replicas.")
    eval_batch_size: int = setting(32, "Sequences an evaluation step.")
    optimizer: str = setting(
        "adamw", "BERT's, or LAMB, which scales each variable's update to its norm: for large batches.", OPTIMIZERS
    )
    learning_rate: float = setting(1e-4, "Highest learning rate.")
    weight_decay: float = setting(0.01, "Decoupled weight decay; layer norms and biases have none.")
    bias_correction: bool = setting(True, "Adam's bias correction; BERT's pre-training code has none.")
    save_checkpoints_steps: int | None = setting(1000, "Updates between two checkpoints.")
    keep_checkpoints: int = setting(3, "Checkpoints to keep.")
    log_steps: int = setting(100, "Updates between two lines of progress and of metrics.jsonl.")
    steps_per_loop: int = setting(1, "Updates in one call of the graph.")
    gradient_accumulation_steps: int = setting(1, "Parts in which each replica takes its batch, to save memory.")
    on_nonfinite: str = setting(
        "stop", "At a loss or gradient that is not finite: stop, or skip that update and go on.", ("stop", "skip")
    )
    use_fp16: bool = setting(False, "Compute in float16 with a dynamic loss scale.")
    use_bf16: bool = setting(False, "Compute in bfloat16.")
    use_xla: bool = setting(False, "Compile with XLA; pads every batch to the longest sequence.")
    num_replicas: int | None = setting(None, "GPUs to use (default all), or logical CPU devices where there is no GPU.")
    random_seed: int = setting(12345, "Seed of new weights, dropout, order and dynamic masks.")

    @property
    def precision(self) -> str:
        """`float32`, `bfloat16` or `float16`: a key of `precision.POLICIES`."""
        return "float16" if self.use_fp16 else "bfloat16" if self.use_bf16 else "float32"

    def validate(self) -> None:
        """Raises an InputError if a value is out of range or flags do not go together."""
        check_choices(self)
        require(self, "output_dir")
        at_least(self, 1, "train_batch_size", "eval_batch_size", "save_checkpoints_steps", "keep_checkpoints")
        at_least(self, 1, "log_steps", "steps_per_loop", "gradient_accumulation_steps", "num_replicas")
        at_least(self, 0, "weight_decay")
        above_zero(self, "learning_rate")
        if self.use_fp16 and self.use_bf16:
            raise InputError("--use_fp16 and --use_bf16 are both set; choose one")
