"""The settings of `run_pretraining.py`."""

import dataclasses
from typing import ClassVar

from ambert_tf.errors import InputError
from ambert_tf.files import check_tensorflow_path
from ambert_tf.flags import at_least, require, setting
from ambert_tf.training.settings import TrainingSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainingSettings(TrainingSettings):
    """Pre-trains AMBERT, one of its variants, or BERT, on records from data/create_pretraining_data.py.

        python run_pretraining.py --input_file='train_records/part-*' --eval_input_file=dev_records/part \\
            --tokenizer_dir=tokenizer --config=mini --output_dir=pretrained

    Run the same command again to resume from the latest checkpoint.
    """

    MAY_CHANGE: ClassVar[tuple[str, ...]] = (
        *TrainingSettings.MAY_CHANGE, "input_file", "eval_input_file", "max_eval_steps", "init_heads",
    )  # fmt: skip

    input_file: str = setting("", "Training TFRecord files: comma-separated names or patterns.")
    eval_input_file: str | None = setting(None, "Held-out TFRecord files, evaluated at each checkpoint.")
    output_dir: str = setting("pretrained", "Model directory: checkpoints, config.json, tokenizer, metrics, results.")
    tokenizer_dir: str | None = setting(None, "Tokenizer directory. Defaults to tokenizer/ next to the records.")
    config: str | None = setting(
        None,
        "Preset (tiny, mini, small, base), config.json or bert_config.json. Defaults to the configuration of "
        "--init_checkpoint, or base.",
    )
    max_eval_steps: int | None = setting(None, "Maximum number of evaluation steps. Defaults to all held-out records.")
    num_train_steps: int = setting(100_000, "Number of training steps.")
    num_warmup_steps: int | None = setting(
        None, "Number of warm-up steps. Defaults to 10000, or a tenth of --num_train_steps if that is less."
    )
    max_seq_length: int | None = setting(
        None, "Maximum fine sequence length of the records. Defaults to the value in their stats.json."
    )
    max_coarse_seq_length: int | None = setting(None, "Maximum coarse sequence length. Default: from stats.json.")
    max_predictions_per_seq: int | None = setting(
        None, "Maximum masked tokens per sequence, for dynamic masking. Defaults to the value in stats.json."
    )
    masked_lm_prob: float | None = setting(
        None, "Masked LM probability, for records with dynamic masking. Defaults to the value in their stats.json."
    )
    final_masked_lm_prob: float | None = setting(
        None, "For dynamic masking: masked LM probability at the last step, changing linearly from --masked_lm_prob."
    )
    init_embeddings: str | None = setting(
        None,
        "File from data/build_embeddings.py with initial token embeddings. Pre-training then needs far fewer steps.",
    )
    init_heads: bool = setting(True, "Also initialize the pre-training heads from --init_checkpoint.")
    shuffle_buffer: int = setting(10_000, "Shuffle buffer size in records. 0 reads the files in order.")
    group_by_length: int = setting(
        1, "Sort the records of this many steps by length, to save padding. 1 keeps the shuffled order."
    )

    @property
    def warmup_steps(self) -> int:
        """`num_warmup_steps`, which defaults to BERT's 10,000, but at most a tenth of the training steps."""
        if self.num_warmup_steps is not None:
            return self.num_warmup_steps
        return min(10_000, self.num_train_steps // 10)

    def validate(self) -> None:
        """Raises an InputError if a value is out of range."""
        require(self, "input_file")
        super().validate()
        check_tensorflow_path(self.output_dir, "output_dir")
        at_least(self, 1, "num_train_steps", "max_eval_steps", "group_by_length")
        at_least(self, 8, "max_seq_length", "max_coarse_seq_length")
        at_least(self, 1, "max_predictions_per_seq")
        for name in ("masked_lm_prob", "final_masked_lm_prob"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1:
                raise InputError(f"--{name}={value}: must be between 0 and 1, such as 0.15")
        at_least(self, 0, "shuffle_buffer")
        if self.init_embeddings and self.init_checkpoint:
            raise InputError("--init_embeddings and --init_checkpoint are both set; a checkpoint has embeddings")
        if not 0 <= self.warmup_steps <= self.num_train_steps:
            raise InputError(
                f"--num_warmup_steps={self.warmup_steps}: must be from 0 to --num_train_steps={self.num_train_steps}"
            )
