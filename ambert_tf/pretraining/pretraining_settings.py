"""The flags of `run_pretraining.py` as values."""

import dataclasses

from ambert_tf.errors import InputError
from ambert_tf.flags import at_least, require, setting
from ambert_tf.training.settings import TrainingSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainingSettings(TrainingSettings):
    """Pre-trains AMBERT, or one of its alternatives, on records of data/create_pretraining_data.py.

        python run_pretraining.py --input_file='train_records/part-*' --eval_input_file=dev_records/part \\
            --tokenizer_dir=tokenizer --config=mini --output_dir=pretrained

    Run the same command again to resume from the newest checkpoint.
    """

    input_file: str = setting("", "TFRecord files of masked examples: names or patterns, separated by commas.")
    eval_input_file: str | None = setting(None, "Held-out records, evaluated at each checkpoint.")
    tokenizer_dir: str = setting("", "Tokenizer directory that the records were made with.")
    config: str = setting("base", "A preset (tiny, mini, small, base), or a config.json or bert_config.json.")
    max_eval_steps: int | None = setting(None, "Evaluation steps; by default all held-out records are read.")
    num_train_steps: int = setting(100_000, "Number of updates.")
    num_warmup_steps: int | None = setting(
        None, "Updates over which the rate rises; by default 10000, at most a tenth."
    )
    max_seq_length: int | None = setting(
        None, "Longest fine sequence of the records; by default as in their stats.json."
    )
    max_coarse_seq_length: int | None = setting(None, "Longest coarse sequence; likewise.")
    max_predictions_per_seq: int | None = setting(None, "Most masked tokens a sequence; by default no limit bites.")
    masked_lm_prob: float = setting(0.15, "Share of coarse tokens to mask in records without masks.")
    shuffle_buffer: int = setting(10_000, "Records to shuffle among; 0 reads the files in order.")
    group_by_length: int = setting(
        1, "Steps whose records are dealt into batches by length, which saves padding where documents are short."
    )

    @property
    def warmup_steps(self) -> int:
        """BERT's 10,000, but no more than a tenth of the run, where `num_warmup_steps` is not given."""
        if self.num_warmup_steps is not None:
            return self.num_warmup_steps
        return min(10_000, self.num_train_steps // 10)

    def validate(self) -> None:
        """Raises an InputError if a value is out of range."""
        require(self, "input_file", "output_dir", "tokenizer_dir")
        super().validate()
        at_least(self, 1, "num_train_steps", "max_eval_steps", "group_by_length")
        at_least(self, 8, "max_seq_length", "max_coarse_seq_length")
        at_least(self, 1, "max_predictions_per_seq")
        if not 0 < self.masked_lm_prob < 1:
            raise InputError(f"--masked_lm_prob={self.masked_lm_prob}: must lie between 0 and 1, such as 0.15")
        at_least(self, 0, "shuffle_buffer")
        if not 0 <= self.warmup_steps <= self.num_train_steps:
            raise InputError(
                f"--num_warmup_steps={self.warmup_steps}: must be from 0 to --num_train_steps, {self.num_train_steps}"
            )
