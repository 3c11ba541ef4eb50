"""Fine-tunes, evaluates and predicts with a classifier: CLUE's tasks, or data of your own.

    python run_classifier.py --task_name=tnews --data_dir=tnews --init_checkpoint=pretrained \
        --do_train --do_eval --do_predict --output_dir=classifier

Data of your own are JSON lines: `--task_name=sentence` reads `sentence` and `label`, `--task_name=sentence_pair` reads
`sentence1`, `sentence2` and `label`, from train.json, dev.json and test.json in --data_dir.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from ambert_tf.errors import run_main

FLAGS = flags.FLAGS

flags.DEFINE_string("task_name", "", "The task: tnews; sentence, sentence_pair or reviews for data of your own.")
flags.DEFINE_string("data_dir", "", "Directory with the task's files.")
flags.DEFINE_string("output_dir", "", "Model directory that training makes; results go there too.")
flags.DEFINE_boolean("do_train", False, "Train.")
flags.DEFINE_boolean("do_eval", False, "Evaluate on the development file; also at each checkpoint of training.")
flags.DEFINE_boolean("do_predict", False, "Predict the test file, which needs no labels.")
flags.DEFINE_string("train_file", None, "Another training file than the task's, in --data_dir or anywhere.")
flags.DEFINE_string("eval_file", None, "Another development file than the task's.")
flags.DEFINE_string("predict_file", None, "Another test file than the task's.")
flags.DEFINE_string(
    "init_checkpoint", None, "Model directory whose encoder to start from; without --do_train, the classifier to run."
)
flags.DEFINE_string(
    "config", None, "For new weights instead: a preset (tiny, mini, small, base), or a config.json or bert_config.json."
)
flags.DEFINE_enum(
    "model_type", None, ["ambert", "ambert_combo", "ambert_hybrid", "bert_fine", "bert_coarse"],
    "With --config: the model; by default the configuration's, ambert for a preset.",
)  # fmt: skip
flags.DEFINE_string("tokenizer_dir", None, "With --config: tokenizer directory.")
flags.DEFINE_boolean("data_augmentation", True, "The paper's data augmentation (Appendix D), where the task has one.")
flags.DEFINE_integer("max_seq_length", 128, "Longest fine sequence; longer texts are cut.")
flags.DEFINE_integer("max_coarse_seq_length", None, "Longest coarse sequence; by default --max_seq_length.")
flags.DEFINE_integer("train_batch_size", 32, "Examples an update, over all replicas.")
flags.DEFINE_integer("eval_batch_size", 64, "Examples an evaluation step.")
flags.DEFINE_integer("predict_batch_size", 64, "Examples a prediction step.")
flags.DEFINE_float("num_train_epochs", 3.0, "Times that training takes all examples.")
flags.DEFINE_float("learning_rate", 3e-5, "Highest learning rate.")
flags.DEFINE_float("warmup_proportion", 0.1, "Share of the updates over which the rate rises.")
flags.DEFINE_float("weight_decay", 0.01, "Decoupled weight decay; layer norms and biases have none.")
flags.DEFINE_boolean("bias_correction", True, "Adam's bias correction; few examples train unstably without.")
flags.DEFINE_float("agreement_weight", 1.0, "Weight of the agreement of the fine and the coarse head (eq. (2)'s λ).")
flags.DEFINE_enum("agreement_of", "probabilities", ["probabilities", "logits"], "What of the two heads is to agree.")
flags.DEFINE_boolean("agreement_squared", False, "Square the distance of the two heads.")
flags.DEFINE_enum(
    "inference", "joint", ["joint", "fine", "coarse"],
    "Evaluate and predict with both grains, or with one grain's encoder and head alone.",
)  # fmt: skip
flags.DEFINE_integer("save_checkpoints_steps", None, "Updates between two checkpoints; by default one an epoch.")
flags.DEFINE_integer("keep_checkpoints", 1, "Checkpoints to keep.")
flags.DEFINE_integer("log_steps", 50, "Updates between two lines of progress and of metrics.jsonl.")
flags.DEFINE_integer("steps_per_loop", 1, "Updates in one call of the graph.")
flags.DEFINE_integer("gradient_accumulation_steps", 1, "Parts in which each replica takes its batch, to save memory.")
flags.DEFINE_boolean("use_fp16", False, "Train in float16 with a dynamic loss scale.")
flags.DEFINE_boolean("use_bf16", False, "Train in bfloat16.")
flags.DEFINE_boolean("use_xla", False, "Compile with XLA; pads every batch to --max_seq_length.")
flags.DEFINE_integer("num_replicas", None, "GPUs to use (default all), or logical CPU devices where there is no GPU.")
flags.DEFINE_integer("random_seed", 12345, "Seed of new weights, dropout and the order of the examples.")


def main(argv: Sequence[str]) -> None:
    del argv
    from ambert_tf.tasks.classification import run_classifier
    from ambert_tf.tasks.classification_settings import ClassificationSettings

    values: dict[str, Any] = {name: FLAGS[name].value for name in ClassificationSettings.__dataclass_fields__}
    run_classifier(ClassificationSettings(**values))


if __name__ == "__main__":
    run_main(main)
