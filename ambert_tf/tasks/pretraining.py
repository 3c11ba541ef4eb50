"""Pre-training: what `run_pretraining.py` does."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from ambert_tf.errors import InputError, one_line
from ambert_tf.files import atomic_path, input_files, make_directory
from ambert_tf.modeling.config import PRESETS, ModelConfig
from ambert_tf.modeling.flops import pretraining_flops
from ambert_tf.modeling.losses import masked_lm_accuracy, masked_lm_loss, pretraining_loss
from ambert_tf.modeling.pretraining_model import PretrainingModel
from ambert_tf.pretraining_data.input import pretraining_dataset
from ambert_tf.pretraining_data.masking import MaskingRule
from ambert_tf.pretraining_data.records import RecordFacts, naming_damaged_files, record_facts
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.checkpoints import CONFIG_FILE, TOKENIZER_DIRECTORY, Checkpoints, restore_backbone
from ambert_tf.training.distribution import make_strategy
from ambert_tf.training.loop import Batch, Evaluator, LoopSettings, train
from ambert_tf.training.optimizer import AdamW, AdamWSettings, WarmupLinearDecay
from ambert_tf.training.precision import POLICIES, LossScale, precision_from_flags
from ambert_tf.training.progress import Progress

STATS_FILE = "stats.json"
EVAL_RESULTS = "eval_results"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainingSettings:
    """The flags of `run_pretraining.py`, under their names; see there for what each means."""

    input_file: str
    output_dir: str
    tokenizer_dir: str
    config: str = "base"
    model_type: str | None = None
    init_checkpoint: str | None = None
    eval_input_file: str | None = None
    train_batch_size: int = 32
    eval_batch_size: int = 32
    max_eval_steps: int | None = None
    num_train_steps: int = 100_000
    num_warmup_steps: int = 10_000
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    bias_correction: bool = True
    save_checkpoints_steps: int = 1000
    keep_checkpoints: int = 3
    log_steps: int = 100
    steps_per_loop: int = 1
    gradient_accumulation_steps: int = 1
    max_seq_length: int = 512
    max_coarse_seq_length: int | None = None
    max_predictions_per_seq: int | None = None
    masked_lm_prob: float = 0.15
    shuffle_buffer: int = 10_000
    use_fp16: bool = False
    use_bf16: bool = False
    use_xla: bool = False
    num_replicas: int | None = None
    random_seed: int = 12345

    def validate(self) -> None:
        """Raises an InputError if a value is out of range."""
        for name in ("input_file", "output_dir", "tokenizer_dir"):
            if not getattr(self, name):
                raise InputError(f"--{name} is needed")
        for name in (
            "train_batch_size", "eval_batch_size", "num_train_steps", "save_checkpoints_steps", "keep_checkpoints",
            "log_steps", "steps_per_loop", "gradient_accumulation_steps",
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise InputError(f"--{name}={getattr(self, name)}: must be at least 1")
        if self.max_seq_length < 8:
            raise InputError(f"--max_seq_length={self.max_seq_length}: must be at least 8")
        if not 0 <= self.num_warmup_steps <= self.num_train_steps:
            raise InputError(
                f"--num_warmup_steps={self.num_warmup_steps}: must be from 0 to --num_train_steps={self.num_train_steps}"
            )
        if not self.learning_rate > 0:
            raise InputError(f"--learning_rate={self.learning_rate}: must be above 0")


class PretrainingObjective:
    """Eq. (1) over a part of a batch, as `training.loop.Objective`.

    Args:
      model: what is trained.
    """

    def __init__(self, model: PretrainingModel) -> None:
        self.model = model
        self.grains = model.config.grains

    @property
    def trainable_variables(self) -> Sequence[keras.Variable]:
        return self.model.trainable_variables

    def totals(self, batch: Batch) -> dict[str, tf.Tensor]:
        totals = {grain: tf.reduce_sum(batch[f"{grain}_masked_lm_weights"]) for grain in self.grains}
        totals["sequences"] = tf.cast(tf.shape(batch[f"{self.grains[0]}_input_ids"])[0], tf.float32)
        return totals

    def loss(
        self, batch: Batch, totals: Mapping[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        outputs = self.model(batch, training=True, seed=seed)
        metrics: dict[str, tf.Tensor] = {}
        for grain in self.grains:
            metrics[f"{grain}_masked_lm_loss"] = masked_lm_loss(*outputs[grain], totals[grain])
        if "next_sentence" in outputs:
            labels = batch["next_sentence_label"]
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels=labels, logits=outputs["next_sentence"]
            )
            metrics["next_sentence_loss"] = tf.reduce_sum(losses) / totals["sequences"]
        loss = pretraining_loss(metrics)
        for grain in self.grains:
            metrics[f"{grain}_masked_lm_accuracy"] = masked_lm_accuracy(*outputs[grain], totals[grain])
        real = {g: tf.cast(batch[f"{g}_input_ids"] != 0, tf.float32) for g in self.grains}
        lengths = {grain: tf.reduce_sum(values, axis=1) for grain, values in real.items()}
        predictions = {grain: tf.reduce_sum(batch[f"{grain}_masked_lm_weights"]) for grain in self.grains}
        metrics["sequences"] = tf.cast(tf.shape(batch[f"{self.grains[0]}_input_ids"])[0], tf.float32)
        metrics["tokens"] = tf.add_n([tf.reduce_sum(values) for values in lengths.values()])
        metrics["model_flops"] = pretraining_flops(self.model.config, lengths, predictions)
        return loss, metrics

    def evaluation_sums(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Returns the sums that `evaluation_results` takes, over one batch."""
        outputs = self.model(batch, training=False)
        one = tf.constant(1.0)
        sums: dict[str, tf.Tensor] = {}
        for grain in self.grains:
            logits, ids, weights = outputs[grain]
            sums[f"{grain}_loss"] = masked_lm_loss(logits, ids, weights, one)
            sums[f"{grain}_right"] = masked_lm_accuracy(logits, ids, weights, one)
            size = self.model.config.grain_vocab_size(grain)
            real = tf.boolean_mask(ids, weights > 0)
            sums[f"{grain}_counts"] = tf.math.bincount(real, minlength=size, maxlength=size)
        if "next_sentence" in outputs:
            labels = batch["next_sentence_label"]
            right = tf.argmax(outputs["next_sentence"], axis=-1, output_type=labels.dtype) == labels
            sums["next_sentence_right"] = tf.reduce_sum(tf.cast(right, tf.float32))
        sums["sequences"] = tf.shape(batch[f"{self.grains[0]}_input_ids"])[0]
        return sums


def evaluation_results(sums: Mapping[str, np.ndarray], grains: Sequence[str]) -> dict[str, float]:
    """Returns held-out results: for each grain masked-LM loss and accuracy, and what constant guessing would reach.

    `g_most_frequent_accuracy` is the accuracy of always predicting the most frequent masked token of the
    same held-out data.
    """
    results: dict[str, float] = {}
    for grain in grains:
        count = max(int(sums[f"{grain}_counts"].sum()), 1)
        results[f"{grain}_masked_lm_loss"] = float(sums[f"{grain}_loss"]) / count
        results[f"{grain}_masked_lm_accuracy"] = float(sums[f"{grain}_right"]) / count
        results[f"{grain}_most_frequent_accuracy"] = int(sums[f"{grain}_counts"].max()) / count
        results[f"{grain}_predictions"] = int(sums[f"{grain}_counts"].sum())
    results["loss"] = sum(results[f"{grain}_masked_lm_loss"] for grain in grains)
    if "next_sentence_right" in sums:
        results["next_sentence_accuracy"] = float(sums["next_sentence_right"]) / int(sums["sequences"])
    results["sequences"] = int(sums["sequences"])
    return results


def run_pretraining(settings: PretrainingSettings) -> dict[str, float]:
    """Pre-trains a model, from the newest checkpoint of `output_dir` if there is one.

    Leaves a model directory with `metrics.jsonl`, `tensorboard/` and, with `eval_input_file`,
    `eval_results.json` and `eval_results.txt`.

    Returns:
      The held-out results of the last step; empty without `eval_input_file`.

    Raises:
      InputError: a setting or a file is wrong, or a loss is not finite.
    """
    settings.validate()
    files = input_files(settings.input_file, "input_file")
    eval_files = input_files(settings.eval_input_file, "eval_input_file") if settings.eval_input_file else []
    precision = precision_from_flags(settings.use_fp16, settings.use_bf16)
    strategy = make_strategy(settings.num_replicas)
    replicas = strategy.num_replicas_in_sync
    parts = replicas * settings.gradient_accumulation_steps
    if settings.train_batch_size % parts:
        raise InputError(
            f"--train_batch_size={settings.train_batch_size}: must be a multiple of {parts} ({replicas} replicas times "
            f"--gradient_accumulation_steps={settings.gradient_accumulation_steps})"
        )
    tokenizer = MultiGrainedTokenizer.load(settings.tokenizer_dir)
    check_fingerprint([*files, *eval_files], tokenizer.fingerprint, settings.tokenizer_dir)
    facts = record_facts([*files, *eval_files])
    config = model_config(settings, tokenizer)
    prepare_model_directory(settings.output_dir, config, tokenizer)
    data = _Data(settings, facts, tokenizer)

    with strategy.scope():
        model = PretrainingModel(
            config, facts.next_sentence, settings.use_xla, settings.random_seed, dtype=POLICIES[precision]
        )
        objective = PretrainingObjective(model)
        optimizer = AdamW(
            model.trainable_variables,
            WarmupLinearDecay(settings.learning_rate, settings.num_train_steps, settings.num_warmup_steps),
            AdamWSettings(weight_decay=settings.weight_decay, bias_correction=settings.bias_correction),
            LossScale() if precision == "float16" else None,
        )
        checkpoints = Checkpoints(
            settings.output_dir, model, {"optimizer": optimizer.variables()}, settings.keep_checkpoints
        )
        restored = checkpoints.restore_latest()
        if restored is None and settings.init_checkpoint:
            restore_backbone(model, settings.init_checkpoint)
    step = int(optimizer.step.numpy())
    origin = restored or settings.init_checkpoint or "new weights"
    logging.info(
        "%s of %s parameters in %s on %d replica(s), from %s at step %d",
        config.model_type, f"{model.count_params():,}", precision, replicas, origin, step,
    )  # fmt: skip
    progress = Progress(settings.output_dir, settings.num_train_steps, step, settings.log_steps)
    evaluator = Evaluator(
        strategy, objective.evaluation_sums, lambda context: data.evaluation(eval_files, context)
    )
    results: dict[str, float] = {}

    def evaluate(step: int) -> None:
        if not eval_files:
            return
        with naming_damaged_files(eval_files):
            sums = evaluator(settings.max_eval_steps)
        results.update(evaluation_results(sums, config.grains))
        progress.write(step, {f"eval_{name}": value for name, value in results.items()})
        write_results(settings.output_dir, {"step": step, **results})

    loop = LoopSettings(
        num_train_steps=settings.num_train_steps,
        save_checkpoints_steps=settings.save_checkpoints_steps,
        steps_per_loop=settings.steps_per_loop,
        gradient_accumulation_steps=settings.gradient_accumulation_steps,
        seed=settings.random_seed,
        use_xla=settings.use_xla,
    )
    try:
        if step >= settings.num_train_steps:
            logging.info("%s has reached --num_train_steps=%d already", origin, settings.num_train_steps)
            evaluate(step)
        with naming_damaged_files(files):
            train(
                strategy, objective, optimizer, lambda step, context: data.training(files, step, context), loop,
                checkpoints, progress, evaluate,
            )  # fmt: skip
    except tf.errors.InvalidArgumentError as error:
        raise InputError(
            f"--input_file={settings.input_file}: a record does not fit the model: {one_line(error)[:300]}"
        ) from None
    finally:
        progress.close()
    return results


class _Data:
    """The training and the held-out batches."""

    def __init__(
        self, settings: PretrainingSettings, facts: RecordFacts, tokenizer: MultiGrainedTokenizer
    ) -> None:
        self.settings = settings
        rule = MaskingRule.for_tokenizer(
            tokenizer,
            max_seq_length=settings.max_seq_length,
            max_coarse_seq_length=settings.max_coarse_seq_length,
            masked_lm_prob=settings.masked_lm_prob,
            max_predictions_per_seq=settings.max_predictions_per_seq,
        )
        self.options: dict[str, Any] = {"masking": None if facts.masked else rule}
        if settings.use_xla:
            self.options.update(
                fine_length=settings.max_seq_length,
                coarse_length=settings.max_coarse_seq_length or settings.max_seq_length,
                fine_predictions=rule.max_fine_predictions,
                coarse_predictions=rule.max_coarse_predictions,
                drop_remainder=True,
            )

    def training(
        self, files: Sequence[str], step: int, context: tf.distribute.InputContext
    ) -> tf.data.Dataset:
        batches_per_step = context.num_replicas_in_sync // context.num_input_pipelines
        return pretraining_dataset(
            files,
            batch_size=context.get_per_replica_batch_size(self.settings.train_batch_size),
            seed=self.settings.random_seed,
            shuffle_buffer=self.settings.shuffle_buffer,
            start_step=step * batches_per_step,
            input_context=context,
            **self.options,
        )

    def evaluation(self, files: Sequence[str], context: tf.distribute.InputContext) -> tf.data.Dataset:
        return pretraining_dataset(
            files,
            batch_size=max(1, self.settings.eval_batch_size // context.num_replicas_in_sync),
            seed=self.settings.random_seed,
            shuffle_buffer=0,
            num_epochs=1,
            input_context=context,
            **self.options,
        )


def model_config(settings: PretrainingSettings, tokenizer: MultiGrainedTokenizer) -> ModelConfig:
    """Returns the configuration that `--config` names, for the tokenizer's vocabularies.

    Raises:
      InputError: it is neither a preset nor a file, or the file is for other vocabularies.
    """
    changes = {} if settings.model_type is None else {"model_type": settings.model_type}
    if settings.config in PRESETS:
        return ModelConfig.preset(
            settings.config, tokenizer.fine_vocab_size, tokenizer.coarse_vocab_size, **changes
        )
    if not os.path.exists(settings.config):
        raise InputError(
            f"--config={settings.config}: is neither a file nor one of the presets {', '.join(PRESETS)}"
        )
    config = ModelConfig.from_file(settings.config, **changes)
    for name, grain in (("vocab_size", "fine"), ("coarse_vocab_size", "coarse")):
        size = tokenizer.fine_vocab_size if grain == "fine" else tokenizer.coarse_vocab_size
        if grain in config.grains and getattr(config, name) != size:
            raise InputError(
                f"--config={settings.config}: {name} is {getattr(config, name)}, but the {grain} vocabulary of "
                f"--tokenizer_dir={settings.tokenizer_dir} has {size} tokens"
            )
    return config


def prepare_model_directory(output_dir: str, config: ModelConfig, tokenizer: MultiGrainedTokenizer) -> None:
    """Writes `config.json` and `tokenizer/` into a model directory, or checks that what is there is the same.

    Raises:
      InputError: the directory holds a run with another configuration or tokenizer.
    """
    make_directory(output_dir)
    config_path = os.path.join(output_dir, CONFIG_FILE)
    tokenizer_directory = os.path.join(output_dir, TOKENIZER_DIRECTORY)
    if os.path.exists(config_path):
        found = ModelConfig.from_file(config_path, "output_dir")
        for name, value in config.to_dict().items():
            if getattr(found, name) != value:
                raise InputError(
                    f"--output_dir={output_dir}: holds a run whose {name} is {getattr(found, name)!r}, not {value!r}; "
                    "go on with that configuration, or choose another directory"
                )
    if os.path.isdir(tokenizer_directory):
        if MultiGrainedTokenizer.load(tokenizer_directory).fingerprint != tokenizer.fingerprint:
            raise InputError(
                f"--output_dir={output_dir}: holds a run with another tokenizer than --tokenizer_dir; choose another directory"
            )
    else:
        tokenizer.save(tokenizer_directory)
    if not os.path.exists(config_path):
        config.to_file(config_path)


def check_fingerprint(files: Sequence[str], fingerprint: str, tokenizer_dir: str) -> None:
    """Raises an InputError if the `stats.json` beside some records names another tokenizer than this one."""
    for directory in sorted({os.path.dirname(name) for name in files}):
        path = os.path.join(directory, STATS_FILE)
        if not os.path.exists(path):
            continue
        try:
            with open(path, encoding="utf-8") as file:
                found = json.load(file).get("tokenizer_fingerprint")
        except (json.JSONDecodeError, UnicodeDecodeError, AttributeError):
            raise InputError(f"{path}: is no JSON object; make the records again") from None
        if found and found != fingerprint:
            raise InputError(
                f"{path}: the records beside it were made with another tokenizer (fingerprint {found}) than "
                f"--tokenizer_dir={tokenizer_dir} ({fingerprint})"
            )


def write_results(output_dir: str, results: Mapping[str, float]) -> None:
    """Writes `eval_results.json`, and the same as `eval_results.txt`, one `name = value` a line."""
    base = os.path.join(output_dir, EVAL_RESULTS)
    with atomic_path(base + ".json") as temporary, open(temporary, "w", encoding="utf-8") as file:
        json.dump(dict(results), file, indent=2)
        file.write("\n")
    with atomic_path(base + ".txt") as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.writelines(f"{name} = {value}\n" for name, value in results.items())
