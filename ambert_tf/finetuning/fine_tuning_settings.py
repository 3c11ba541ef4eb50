"""The flags of run_classifier.py, run_squad.py and run_ner.py."""

import dataclasses
import math
import os
from typing import Any, ClassVar, TypeVar

from ambert_tf.errors import InputError
from ambert_tf.files import check_tensorflow_path, is_directory
from ambert_tf.flags import above_zero, at_least, require, setting
from ambert_tf.models.config import POOLINGS, ModelConfig
from ambert_tf.models.tagging_schemes import SCHEMES
from ambert_tf.tasks.declaration import FILE_FLAGS, Task
from ambert_tf.training.settings import TrainingSettings

SettingsT = TypeVar("SettingsT", bound="FineTuningSettings")

# Pre-trained model to use if --init_checkpoint is not given and this directory exists.
DEFAULT_MODEL = "pretrained"
DEFAULT_OUTPUT = "output"
# Schemes that a model can predict. IOB1 does not say where an entity begins.
MODEL_SCHEMES = tuple(name for name in SCHEMES if name != "IOB1")
# From BERT (Devlin et al., 2019), Appendix A.3. A task's own defaults take precedence.
BERT_DEFAULTS = {
    "learning_rate": 3e-5,
    "train_batch_size": 32,
    "num_train_epochs": 3.0,
    "max_seq_length": 128,
    "warmup_proportion": 0.1,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class FineTuningSettings(TrainingSettings):
    """Settings shared by the fine-tuning programs.

    `for_task` replaces defaults of None with the task's values. Only then do the fields have their declared types.
    """

    MAY_CHANGE: ClassVar[tuple[str, ...]] = (
        *TrainingSettings.MAY_CHANGE, "data_dir", "tfds_data_dir", "do_train", "do_eval", "do_predict", "eval_file",
        "predict_file", "predict_batch_size", "max_eval_examples", "inference",
    )  # fmt: skip

    task_name: str = setting("", "Name of the task. An unknown name lists all tasks.")
    task_file: str | None = setting(None, "Python file that defines your own TASK = Task(...), instead of --task_name.")
    data_dir: str = setting("", "Directory of the task's files. Defaults to one in $AMBERT_DATA or data/.")
    output_dir: str = setting("", "Model directory to write, with the results. Defaults to output/TASK.")
    data_source: str = setting("files", "Official files, or TensorFlow Datasets.", ("files", "tfds"))
    tfds_data_dir: str | None = setting(None, "Data directory of TensorFlow Datasets, for --data_source=tfds.")
    do_train: bool = setting(
        False, "Train. Without any --do_* flag: train, evaluate, and predict if there is a test file."
    )
    do_eval: bool = setting(False, "Evaluate on the development set, and at each checkpoint during training.")
    do_predict: bool = setting(False, "Predict on the test set, which needs no labels.")
    train_file: str | None = setting(None, "Training files, in --data_dir or elsewhere. Defaults to the task's.")
    eval_file: str | None = setting(None, "Development files, in --data_dir or elsewhere. Defaults to the task's.")
    predict_file: str | None = setting(None, "Test files, in --data_dir or elsewhere. Defaults to the task's.")
    init_checkpoint: str | None = setting(
        None,
        "Initial checkpoint: model directory whose encoder to fine-tune. Defaults to pretrained/. Without --do_train, "
        "the fine-tuned model to evaluate.",
    )
    tokenizer_dir: str | None = setting(None, "Tokenizer directory, for --config.")
    bert_config_file: str | None = setting(None, "bert_config.json of a Google BERT, if not in --init_checkpoint.")
    vocab_file: str | None = setting(None, "vocab.txt of a Google BERT, if not in --init_checkpoint.")
    max_examples: int = setting(0, "Maximum number of records per split, for a quick try. 0 for all.")
    max_eval_examples: int = setting(0, "Maximum number of dev and test records. Overrides --max_examples.")
    data_augmentation: bool = setting(True, "Use the paper's data augmentation (Appendix D), if the task has one.")
    max_seq_length: int = setting(
        None, "Maximum fine sequence length; longer texts are truncated. Defaults to the task's."
    )
    max_coarse_seq_length: int | None = setting(None, "Maximum coarse sequence length. Defaults to --max_seq_length.")
    train_batch_size: int = setting(None, "Global batch size for training. Defaults to the task's.")
    eval_batch_size: int = setting(64, "Batch size for evaluation.")
    predict_batch_size: int = setting(64, "Batch size for prediction.")
    num_train_epochs: float = setting(None, "Number of training epochs. Defaults to the task's.")
    learning_rate: float = setting(None, "Peak learning rate. Defaults to the task's.")
    warmup_proportion: float = setting(None, "Proportion of training for linear warm-up. Defaults to the task's.")
    bias_correction: bool = setting(True, "Adam's bias correction. Training on few examples is unstable without it.")
    agreement_weight: float = setting(
        None, "Weight of the agreement term between the fine and coarse heads (λ in eq. (2)). Defaults to the paper's."
    )
    agreement_of: str = setting(
        "probabilities", "Compare the two heads' probabilities or logits.", ("probabilities", "logits")
    )
    agreement_squared: bool = setting(False, "Square the distance between the two heads' predictions.")
    inference: str = setting(
        "joint",
        "Evaluate and predict with both grains, or with the encoder and head of one grain only.",
        ("joint", "fine", "coarse"),
    )
    save_checkpoints_steps: int | None = setting(None, "Steps between checkpoints. Defaults to one epoch.")
    keep_checkpoints: int = setting(1, "Number of checkpoints to keep.")
    log_steps: int = setting(50, "Steps between log lines and lines of metrics.jsonl.")
    keep_best: bool = setting(True, "With --do_eval: keep the checkpoint with the best value of the task's metric.")
    early_stopping_patience: int = setting(0, "Stop after this many evaluations without improvement; 0 disables it.")
    num_runs: int = setting(
        1, "Number of runs, with consecutive seeds from --random_seed. Reports mean and deviation, and keeps the best."
    )
    grid_learning_rates: str = setting(
        "", "Comma-separated learning rates to try. The best model on the development set is kept."
    )
    grid_batch_sizes: str = setting("", "Comma-separated batch sizes to try. The best model is kept.")

    def for_task(self: SettingsT, task: Task, data_dir: str | None, has_test: bool) -> SettingsT:
        """Fills in the task's defaults for flags that were not given.

        Args:
          task: declaration of the task.
          data_dir: directory in which its files were found.
          has_test: whether there is a test file, which is predicted if no --do_* flag is given.

        Raises:
          InputError: a default of the task is not a flag of the program.
        """
        names = {field.name for field in dataclasses.fields(self)}
        if unknown := sorted(set(task.defaults) - names):
            raise InputError(f"task {task.name}: its defaults name {unknown[0]}, which is not a flag of this program")
        defaults = BERT_DEFAULTS | {"agreement_weight": task.agreement_weight, **task.defaults}
        values: dict[str, Any] = {name: value for name, value in defaults.items() if getattr(self, name) is None}
        if not self.data_dir and data_dir:
            values["data_dir"] = data_dir
        if not self.output_dir:
            values["output_dir"] = os.path.join(DEFAULT_OUTPUT, task.name)
        training = self.do_train
        if not (self.do_train or self.do_eval or self.do_predict):
            values.update(do_train=True, do_eval=True, do_predict=has_test)
            training = True
        if training and not (self.init_checkpoint or self.config) and is_directory(DEFAULT_MODEL):
            values["init_checkpoint"] = DEFAULT_MODEL
        return dataclasses.replace(self, **values)

    @property
    def bert_files(self) -> dict[str, Any]:
        """The files of a Google BERT in `init_checkpoint`, as arguments of `conversion.initial`."""
        return {"config_file": self.bert_config_file, "vocab_file": self.vocab_file}

    @property
    def agreement(self) -> dict[str, Any]:
        """The arguments of the agreement loss, the last term of eq. (2)."""
        return {
            "agreement_weight": self.agreement_weight,
            "agreement_of": self.agreement_of,
            "agreement_squared": self.agreement_squared,
        }

    def initial_config(self, config: ModelConfig) -> ModelConfig:
        """Returns the configuration of the model to fine-tune, given that of the pre-trained model."""
        return config

    def steps_per_epoch(self, num_examples: int) -> int:
        """Returns the number of steps per epoch."""
        return math.ceil(num_examples / self.train_batch_size)

    def num_train_steps(self, num_examples: int) -> int:
        """Returns the number of training steps."""
        return max(1, math.ceil(num_examples / self.train_batch_size * self.num_train_epochs))

    def num_warmup_steps(self, num_examples: int) -> int:
        """Returns the number of warm-up steps."""
        return int(self.num_train_steps(num_examples) * self.warmup_proportion)

    @property
    def learning_rates(self) -> list[float]:
        """The learning rates to try."""
        return _numbers(self.grid_learning_rates, float, "grid_learning_rates") or [self.learning_rate]

    @property
    def batch_sizes(self) -> list[int]:
        """The batch sizes to try."""
        return _numbers(self.grid_batch_sizes, int, "grid_batch_sizes") or [self.train_batch_size]

    def validate(self) -> None:
        """Raises an InputError if a value is out of range or flags are incompatible. Call it after `for_task`."""
        require(self, "output_dir")
        super().validate()
        if self.do_train:
            check_tensorflow_path(self.output_dir, "output_dir")
        at_least(self, 1, "predict_batch_size", "num_runs")
        at_least(self, 0, "early_stopping_patience", "max_examples", "max_eval_examples")
        above_zero(self, "num_train_epochs")
        if not 0 <= self.warmup_proportion < 1:
            raise InputError(f"--warmup_proportion={self.warmup_proportion}: must be in [0, 1)")
        if self.agreement_weight < 0:
            raise InputError(f"--agreement_weight={self.agreement_weight}: must not be negative")
        several = self.num_runs * len(self.learning_rates) * len(self.batch_sizes) > 1
        if several and not (self.do_train and self.do_eval):
            raise InputError("--num_runs and --grid_...: need --do_train, and --do_eval to compare the runs")
        if self.early_stopping_patience and not self.do_eval:
            raise InputError(f"--early_stopping_patience={self.early_stopping_patience}: needs --do_eval")
        source = self.data_source
        for name in ("data_dir", *FILE_FLAGS.values()) if source == "tfds" else ("tfds_data_dir",):
            if value := getattr(self, name):
                raise InputError(f"--{name}={value}: has no effect with --data_source={source}; omit one of them")
        if self.do_train and self.init_checkpoint and self.config:
            raise InputError("--init_checkpoint and --config are both set; a checkpoint has its own configuration")
        if self.do_train and not self.init_checkpoint and not (self.config and self.tokenizer_dir):
            raise InputError(
                "--init_checkpoint is needed: a model directory, such as one from run_pretraining.py "
                f"(./{DEFAULT_MODEL} does not exist); or --config and --tokenizer_dir, to train from scratch"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassificationSettings(FineTuningSettings):
    """Fine-tunes, evaluates and predicts with a classifier: CLUE's and GLUE's tasks, RACE, or your own data.

        python run_classifier.py --task_name=tnews --data_dir=tnews --init_checkpoint=pretrained \\
            --do_train --do_eval --do_predict --output_dir=classifier

    Supports single sentences, sentence pairs, regression and multiple choice. Use run_squad.py for span extraction and
    run_ner.py for sequence labelling. Your own data can be JSON lines or tables. --task_name=sentence reads `sentence`
    and `label`, and --task_name=sentence_pair reads `sentence1`, `sentence2` and `label`, from train.json, dev.json and
    test.json (or .jsonl, .csv, .tsv) in --data_dir. Flags that are not given take the task's values. If the data and
    the pre-trained model are in their default locations, --task_name alone trains and evaluates.
    """

    classifier_pooling: str | None = setting(
        None,
        "Input of the classification heads: the pooler's output for [CLS], as in BERT, or the mean over all tokens. "
        "Defaults to the configuration's.",
        POOLINGS,
    )

    def initial_config(self, config: ModelConfig) -> ModelConfig:
        if self.classifier_pooling is None:
            return config
        return dataclasses.replace(config, classifier_pooling=self.classifier_pooling)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpanSettings(FineTuningSettings):
    """Fine-tunes, evaluates and predicts with a model for extractive question answering: SQuAD, CMRC2018, or your data.

        python run_squad.py --task_name=cmrc2018 --data_dir=cmrc2018 --init_checkpoint=pretrained \\
            --do_train --do_eval --do_predict --output_dir=reader

    --task_name=spans reads SQuAD's JSON format from train.json, dev.json and test.json. The command line of
    google-research/bert also works: without --task_name, --train_file and --predict_file are in the format of SQuAD 1.1
    or, with --version_2_with_negative, SQuAD 2.0. Flags that are not given take the task's values.
    """

    doc_stride: int | None = setting(None, "Stride, in fine tokens, between windows of a long context.")
    max_query_length: int | None = setting(
        None, "Maximum number of fine tokens in a question. Longer questions are truncated."
    )
    max_answer_length: int | None = setting(None, "Maximum number of fine tokens in an answer.")
    n_best_size: int | None = setting(
        None, "Number of n-best predictions per question, and of start and end positions to search per window."
    )
    null_score_diff_threshold: float | None = setting(
        None, "SQuAD 2.0: predict no answer if the null score exceeds the best answer's by more than this."
    )
    version_2_with_negative: bool = setting(False, "Questions may have no answer, as in SQuAD 2.0.")

    def validate(self) -> None:
        super().validate()
        at_least(self, 1, "doc_stride", "max_query_length", "max_answer_length", "n_best_size")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaggingSettings(FineTuningSettings):
    """Fine-tunes, evaluates and predicts for sequence labelling: named entities, word segmentation, parts of speech.

        python run_ner.py --task_name=cluener --data_dir=cluener --init_checkpoint=pretrained \\
            --do_train --do_eval --do_predict --output_dir=ner

    Tasks: cluener, weibo, msra, resume, peoples_daily, ontonotes4, conll2003, wnut17, segmentation (words separated by
    spaces) and pos (word/TAG). Your own data are columns of tokens and tags in BIO, IOB1, BIOES or BMES
    (--task_name=columns), or JSON lines with `text` and `entities` (--task_name=entities), in train, dev and test files
    in --data_dir. Long texts are labelled in overlapping windows. Flags that are not given take the task's values.
    """

    doc_stride: int | None = setting(None, "Stride, in fine tokens, between windows of a long text.")
    tagging_scheme: str | None = setting(None, "Tags that the model predicts. Defaults to the task's.", MODEL_SCHEMES)
    crf: bool = setting(False, "Use a linear-chain conditional random field.")
    token_column: int | None = setting(None, "With --task_name=columns: index of the tokens' column, from 0.")
    tag_column: int | None = setting(
        None, "With --task_name=columns: index of the tags' column. Defaults to the last one, -1."
    )
    input_scheme: str | None = setting(
        None, "Scheme of the tags in the files. Default: detected from the tags.", tuple(SCHEMES)
    )
    strict_tags: bool | None = setting(
        None, "Whether tags that do not continue the ones before, such as I after O, are errors. Defaults to true."
    )
    entities_key: str | None = setting(None, "With --task_name=entities: key of the entities. Defaults to entities.")
    end_inclusive: bool | None = setting(None, "Whether `end` is the last character, not the one after it.")
    byte_offsets: bool | None = setting(None, "Whether `start` and `end` count bytes of UTF-8, not characters.")

    def validate(self) -> None:
        super().validate()
        at_least(self, 1, "doc_stride")
        at_least(self, 0, "token_column")


def _numbers(text: str, kind: Any, flag: str) -> list[Any]:
    """Returns the numbers in a comma-separated list, each once."""
    try:
        values = [kind(part) for part in text.split(",") if part.strip()]
    except ValueError:
        values = [0]
    if any(not value > 0 for value in values):
        raise InputError(f"--{flag}={text}: must be positive numbers, separated by commas")
    return list(dict.fromkeys(values))
