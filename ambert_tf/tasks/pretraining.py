"""Pre-training: what `run_pretraining.py` does."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from absl import logging

from ambert_tf.errors import InputError, one_line
from ambert_tf.files import atomic_path, input_files
from ambert_tf.modeling.pretraining_model import PretrainingModel
from ambert_tf.pretraining_data.input import pretraining_dataset
from ambert_tf.pretraining_data.masking import MaskingRule
from ambert_tf.pretraining_data.records import RecordFacts, naming_damaged_files, record_facts
from ambert_tf.pretraining_data.stats import STATS_FILE
from ambert_tf.tasks.new_model import new_model_config
from ambert_tf.tasks.pretraining_objective import PretrainingObjective, evaluation_results
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.checkpoints import Checkpoints, prepare_model_directory, restore_backbone
from ambert_tf.training.distribution import make_strategy
from ambert_tf.training.evaluation import Evaluator
from ambert_tf.training.loop import LoopSettings, train
from ambert_tf.training.optimizer import AdamW, AdamWSettings, WarmupLinearDecay
from ambert_tf.training.precision import POLICIES, LossScale, precision_from_flags
from ambert_tf.training.progress import Progress

EVAL_RESULTS = "eval_results"

AT_LEAST_ONE = (
    "train_batch_size",
    "eval_batch_size",
    "num_train_steps",
    "save_checkpoints_steps",
    "keep_checkpoints",
    "log_steps",
    "steps_per_loop",
    "gradient_accumulation_steps",
)


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
    num_warmup_steps: int | None = None
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    bias_correction: bool = True
    save_checkpoints_steps: int = 1000
    keep_checkpoints: int = 3
    log_steps: int = 100
    steps_per_loop: int = 1
    gradient_accumulation_steps: int = 1
    max_seq_length: int | None = None
    max_coarse_seq_length: int | None = None
    max_predictions_per_seq: int | None = None
    masked_lm_prob: float = 0.15
    shuffle_buffer: int = 10_000
    use_fp16: bool = False
    use_bf16: bool = False
    use_xla: bool = False
    num_replicas: int | None = None
    random_seed: int = 12345

    @property
    def warmup_steps(self) -> int:
        """BERT's 10,000, but no more than a tenth of the run, where `num_warmup_steps` is not given."""
        if self.num_warmup_steps is not None:
            return self.num_warmup_steps
        return min(10_000, self.num_train_steps // 10)

    def validate(self) -> None:
        """Raises an InputError if a value is out of range."""
        for name in ("input_file", "output_dir", "tokenizer_dir"):
            if not getattr(self, name):
                raise InputError(f"--{name} is needed")
        for name in AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise InputError(f"--{name}={getattr(self, name)}: must be at least 1")
        if self.max_seq_length is not None and self.max_seq_length < 8:
            raise InputError(f"--max_seq_length={self.max_seq_length}: must be at least 8")
        if not 0 <= self.warmup_steps <= self.num_train_steps:
            raise InputError(
                f"--num_warmup_steps={self.warmup_steps}: must be from 0 to --num_train_steps, {self.num_train_steps}"
            )
        if not self.learning_rate > 0:
            raise InputError(f"--learning_rate={self.learning_rate}: must be above 0")


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
            f"--train_batch_size={settings.train_batch_size}: must be a multiple of {parts} ({replicas} "
            f"replicas times --gradient_accumulation_steps={settings.gradient_accumulation_steps})"
        )
    tokenizer = MultiGrainedTokenizer.load(settings.tokenizer_dir)
    stats = read_stats([*files, *eval_files], tokenizer.fingerprint, settings.tokenizer_dir)
    facts = record_facts([*files, *eval_files])
    config = new_model_config(settings.config, settings.model_type, tokenizer, settings.tokenizer_dir)
    prepare_model_directory(settings.output_dir, config, tokenizer)
    data = _Data(settings, facts, tokenizer, stats)

    with strategy.scope():
        model = PretrainingModel(
            config, facts.next_sentence, settings.use_xla, settings.random_seed, dtype=POLICIES[precision]
        )
        objective = PretrainingObjective(model)
        optimizer = AdamW(
            model.trainable_variables,
            WarmupLinearDecay(settings.learning_rate, settings.num_train_steps, settings.warmup_steps),
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
    evaluator = Evaluator(objective.evaluation_sums, lambda: data.evaluation(eval_files))
    results: dict[str, float] = {}

    def evaluate(step: int) -> None:
        if not eval_files:
            return
        with naming_damaged_files(eval_files):
            sums = evaluator(settings.max_eval_steps)
        results.update(evaluation_results(sums, config.grains))
        progress.write(step, {f"eval_{name}": value for name, value in results.items()})
        write_results(settings.output_dir, {"step": step, **results})
        logging.info("held out at step %d: %s", step, "  ".join(f"{k} {v:.4g}" for k, v in results.items()))

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
                strategy,
                objective,
                optimizer,
                lambda step, context: data.training(files, step, context),
                loop,
                checkpoints,
                progress,
                evaluate,
            )
    except tf.errors.InvalidArgumentError as error:
        raise InputError(
            f"--input_file={settings.input_file}: a record does not fit the model: {one_line(error)[:300]}"
        ) from None
    except tf.errors.ResourceExhaustedError as error:
        advice = "lower --train_batch_size or raise --gradient_accumulation_steps"
        if "OOM" not in str(error):  # not memory but the disk
            advice = f"free space below --output_dir={settings.output_dir}"
        raise InputError(f"{advice}: {one_line(error)[:300]}") from None
    finally:
        progress.close()
    return results


class _Data:
    """The training and the held-out batches."""

    def __init__(
        self,
        settings: PretrainingSettings,
        facts: RecordFacts,
        tokenizer: MultiGrainedTokenizer,
        stats: Mapping[str, Any],
    ) -> None:
        self.settings = settings
        fine_length = settings.max_seq_length or stats.get("max_seq_length", 512)
        coarse_length = settings.max_coarse_seq_length or stats.get("max_coarse_seq_length", fine_length)
        rule = MaskingRule.for_tokenizer(
            tokenizer,
            max_seq_length=fine_length,
            max_coarse_seq_length=coarse_length,
            masked_lm_prob=settings.masked_lm_prob,
            max_predictions_per_seq=settings.max_predictions_per_seq,
        )
        self.options: dict[str, Any] = {"masking": None if facts.masked else rule}
        if settings.use_xla:
            self.options.update(
                fine_length=fine_length,
                coarse_length=coarse_length,
                fine_predictions=rule.max_fine_predictions,
                coarse_predictions=rule.max_coarse_predictions,
                drop_remainder=True,
            )

    def training(self, files: Sequence[str], step: int, context: tf.distribute.InputContext) -> tf.data.Dataset:
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

    def evaluation(self, files: Sequence[str]) -> tf.data.Dataset:
        # The last batch counts too, whatever its size is.
        return pretraining_dataset(
            files,
            batch_size=self.settings.eval_batch_size,
            seed=self.settings.random_seed,
            shuffle_buffer=0,
            num_epochs=1,
            **{**self.options, "drop_remainder": False},
        )


def read_stats(files: Sequence[str], fingerprint: str, tokenizer_dir: str) -> dict[str, Any]:
    """Returns what `stats.json` beside some records says of them; of several, that of the longest sequences.

    Raises:
      InputError: the records were made with another tokenizer than the one with this fingerprint, or a file has
        another size than it was written with.
    """
    longest: dict[str, Any] = {}
    for directory in sorted({os.path.dirname(name) for name in files}):
        path = os.path.join(directory, STATS_FILE)
        if not os.path.exists(path):
            continue
        try:
            with open(path, encoding="utf-8") as file:
                stats = json.load(file)
            found = stats.get("tokenizer_fingerprint")
        except (json.JSONDecodeError, UnicodeDecodeError, AttributeError):
            raise InputError(f"{path}: is no JSON object; make the records again") from None
        if found and found != fingerprint:
            raise InputError(
                f"{path}: the records beside it were made with another tokenizer (fingerprint {found}) than "
                f"--tokenizer_dir={tokenizer_dir} ({fingerprint})"
            )
        sizes = stats.get("files")
        sizes = sizes if isinstance(sizes, dict) else {}
        for name in files:
            expected = sizes.get(os.path.basename(name)) if os.path.dirname(name) == directory else None
            if expected is not None and os.path.getsize(name) != expected:
                raise InputError(
                    f"{name}: has {os.path.getsize(name)} bytes, but {STATS_FILE} beside it says {expected}; "
                    "it was cut off or replaced, make the records again"
                )
        if stats.get("max_seq_length", 0) >= longest.get("max_seq_length", 0):
            longest = stats
    return longest


def write_results(output_dir: str, results: Mapping[str, float]) -> None:
    """Writes `eval_results.json`, and the same as `eval_results.txt`, one `name = value` a line."""
    base = os.path.join(output_dir, EVAL_RESULTS)
    with atomic_path(base + ".json") as temporary, open(temporary, "w", encoding="utf-8") as file:
        json.dump(dict(results), file, indent=2)
        file.write("\n")
    with atomic_path(base + ".txt") as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.writelines(f"{name} = {value}\n" for name, value in results.items())
