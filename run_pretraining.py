"""Pre-trains an AMBERT (or one of its alternatives) on records of data/create_pretraining_data.py.

    python run_pretraining.py --input_file='train_records/part-*' --eval_input_file=dev_records/part \
        --tokenizer_dir=tokenizer --config=mini --output_dir=pretrained

Run the same command again to go on from the newest checkpoint.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from ambert_tf.errors import run_main

FLAGS = flags.FLAGS

flags.DEFINE_string("input_file", "", "TFRecord files of masked examples: names or patterns, separated by commas.")
flags.DEFINE_string(
    "output_dir", "", "Model directory: checkpoints, config.json, tokenizer, metrics.jsonl, TensorBoard."
)
flags.DEFINE_string("tokenizer_dir", "", "Tokenizer directory that the records were made with.")
flags.DEFINE_string("config", "base", "A preset (tiny, mini, small, base), or a config.json or bert_config.json.")
flags.DEFINE_enum(
    "model_type", None, ["ambert", "ambert_combo", "ambert_hybrid", "bert_fine", "bert_coarse"],
    "The model; by default the configuration's, ambert for a preset.",
)  # fmt: skip
flags.DEFINE_string("init_checkpoint", None, "Model directory or checkpoint whose encoder weights to start from.")
flags.DEFINE_string("eval_input_file", None, "Held-out records, evaluated at each checkpoint.")
flags.DEFINE_integer("train_batch_size", 32, "Sequences an update, over all replicas.")
flags.DEFINE_integer("eval_batch_size", 32, "Sequences an evaluation step.")
flags.DEFINE_integer("max_eval_steps", None, "Evaluation steps; by default all held-out records are read.")
flags.DEFINE_integer("num_train_steps", 100_000, "Number of updates.")
flags.DEFINE_integer("num_warmup_steps", None, "Updates over which the rate rises; by default 10000, at most a tenth.")
flags.DEFINE_float("learning_rate", 1e-4, "Highest learning rate.")
flags.DEFINE_float("weight_decay", 0.01, "Decoupled weight decay; layer norms and biases have none.")
flags.DEFINE_boolean("bias_correction", True, "Adam's bias correction; BERT's pre-training code has none.")
flags.DEFINE_integer("save_checkpoints_steps", 1000, "Updates between two checkpoints.")
flags.DEFINE_integer("keep_checkpoints", 3, "Checkpoints to keep.")
flags.DEFINE_integer("log_steps", 100, "Updates between two lines of progress and of metrics.jsonl.")
flags.DEFINE_integer("steps_per_loop", 1, "Updates in one call of the graph.")
flags.DEFINE_integer("gradient_accumulation_steps", 1, "Parts in which each replica takes its batch, to save memory.")
flags.DEFINE_integer("max_seq_length", None, "Longest fine sequence of the records; by default as in their stats.json.")
flags.DEFINE_integer("max_coarse_seq_length", None, "Longest coarse sequence; likewise.")
flags.DEFINE_integer("max_predictions_per_seq", None, "Most masked tokens a sequence; by default no limit bites.")
flags.DEFINE_float("masked_lm_prob", 0.15, "Share of coarse tokens to mask in records without masks.")
flags.DEFINE_integer("shuffle_buffer", 10_000, "Records to shuffle among; 0 reads the files in order.")
flags.DEFINE_boolean("use_fp16", False, "Compute in float16 with a dynamic loss scale.")
flags.DEFINE_boolean("use_bf16", False, "Compute in bfloat16.")
flags.DEFINE_boolean("use_xla", False, "Compile with XLA; pads every batch to the longest sequence.")
flags.DEFINE_integer("num_replicas", None, "GPUs to use (default all), or logical CPU devices where there is no GPU.")
flags.DEFINE_integer("random_seed", 12345, "Seed of weights, dropout, record order and dynamic masks.")


def main(argv: Sequence[str]) -> None:
    del argv
    from ambert_tf.tasks.pretraining import PretrainingSettings, run_pretraining

    values: dict[str, Any] = {name: FLAGS[name].value for name in PretrainingSettings.__dataclass_fields__}
    run_pretraining(PretrainingSettings(**values))


if __name__ == "__main__":
    run_main(main)
