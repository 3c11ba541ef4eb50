"""Fine-tuning of a classifier."""

import math
from collections.abc import Sequence

import tensorflow as tf
from absl import logging

from ambert_tf.errors import InputError
from ambert_tf.modeling.classification_model import ClassificationModel
from ambert_tf.modeling.config import ModelConfig
from ambert_tf.tasks.classification_objective import ClassificationObjective
from ambert_tf.tasks.classification_results import scores
from ambert_tf.tasks.classification_settings import ClassificationSettings
from ambert_tf.tasks.declaration import Example
from ambert_tf.tasks.prediction import Predictor
from ambert_tf.tasks.tokenized import TokenizedExamples, training_plan
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.checkpoints import Checkpoints, restore_backbone
from ambert_tf.training.fine_tuned import FineTunedTask
from ambert_tf.training.loop import LoopSettings, train
from ambert_tf.training.optimizer import AdamW, AdamWSettings, WarmupLinearDecay
from ambert_tf.training.precision import POLICIES, LossScale
from ambert_tf.training.progress import Progress


def train_classifier(
    settings: ClassificationSettings,
    strategy: tf.distribute.Strategy,
    precision: str,
    config: ModelConfig,
    task: FineTunedTask,
    tokenizer: MultiGrainedTokenizer,
    examples: Sequence[Example],
    dev_examples: Sequence[Example] | None,
) -> None:
    """Trains with eq. (2), from the newest checkpoint of `output_dir` if there is one.

    Checkpoints, by default one an epoch, go to `output_dir`; at each of them the development examples are evaluated,
    and the results go to `metrics.jsonl`.

    Args:
      settings: of the run.
      strategy: where to train.
      precision: a key of `POLICIES`.
      config: of the model.
      task: labels and lengths.
      tokenizer: of the model.
      examples: to train on.
      dev_examples: to evaluate at each checkpoint; None for no evaluation.

    Raises:
      InputError: the batch size does not divide among the replicas, a checkpoint does not fit, or a loss is not
        finite.
    """
    parts = strategy.num_replicas_in_sync * settings.gradient_accumulation_steps
    if settings.train_batch_size % parts:
        raise InputError(
            f"--train_batch_size={settings.train_batch_size}: must be a multiple of {parts} (replicas times "
            "--gradient_accumulation_steps)"
        )
    lengths = task.max_seq_length, task.max_coarse_seq_length
    data = TokenizedExamples(tokenizer, examples, *lengths, fixed_lengths=settings.use_xla)
    steps_per_epoch = len(examples) / settings.train_batch_size
    num_train_steps = max(1, math.ceil(steps_per_epoch * settings.num_train_epochs))
    plan = training_plan(data.lengths, settings.train_batch_size, num_train_steps, settings.random_seed)

    with strategy.scope():
        model = ClassificationModel(config, len(task.labels), settings.random_seed, dtype=POLICIES[precision])
        objective = ClassificationObjective(model, **settings.agreement)
        optimizer = AdamW(
            model.trainable_variables,
            WarmupLinearDecay(
                settings.learning_rate, num_train_steps, int(num_train_steps * settings.warmup_proportion)
            ),
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
    if step >= num_train_steps:
        logging.warning("%s: training had reached step %d already; nothing is trained now", origin, step)
        return
    logging.info(
        "%s of %s parameters in %s on %d replica(s), from %s at step %d of %d: %d examples, %d labels",
        config.model_type, f"{model.count_params():,}", precision, strategy.num_replicas_in_sync, origin, step,
        num_train_steps, len(examples), len(task.labels),
    )  # fmt: skip
    progress = Progress(settings.output_dir, num_train_steps, step, settings.log_steps)
    dev_data = TokenizedExamples(tokenizer, dev_examples, *lengths) if dev_examples else None
    predictor = Predictor(model)

    def evaluate(step: int) -> None:
        if dev_data is None:
            return
        results = scores(predictor(dev_data, settings.eval_batch_size).by_head, dev_data.labels, settings.agreement)
        progress.write(step, {f"eval_{name}": value for name, value in results.items()})
        logging.info("step %d: %s", step, ", ".join(f"{name} {value:.4g}" for name, value in results.items()))

    loop = LoopSettings(
        num_train_steps=num_train_steps,
        save_checkpoints_steps=settings.save_checkpoints_steps or math.ceil(steps_per_epoch),
        steps_per_loop=settings.steps_per_loop,
        gradient_accumulation_steps=settings.gradient_accumulation_steps,
        seed=settings.random_seed,
        use_xla=settings.use_xla,
    )
    try:
        train(
            strategy,
            objective,
            optimizer,
            lambda step, context: data.training_batches(plan, step, context),
            loop,
            checkpoints,
            progress,
            evaluate,
        )
    finally:
        progress.close()
