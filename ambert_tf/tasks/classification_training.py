"""Fine-tuning of a classifier."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from ambert_tf.modeling.classification_model import ClassificationModel
from ambert_tf.modeling.config import ModelConfig
from ambert_tf.tasks.classification_objective import ClassificationObjective
from ambert_tf.tasks.classification_results import scores
from ambert_tf.tasks.classification_settings import ClassificationSettings
from ambert_tf.tasks.declaration import Example
from ambert_tf.tasks.prediction import Predictor
from ambert_tf.tasks.tokenized import TokenizedExamples, training_plan
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.fine_tuned import FineTunedTask
from ambert_tf.training.precision import POLICIES
from ambert_tf.training.trainer import Trainer


def train_classifier(
    settings: ClassificationSettings,
    strategy: tf.distribute.Strategy,
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
      config: of the model.
      task: labels and lengths.
      tokenizer: of the model.
      examples: to train on.
      dev_examples: to evaluate at each checkpoint; None for no evaluation.

    Raises:
      InputError: a checkpoint does not fit, or a loss is not finite.
    """
    lengths = task.max_seq_length, task.max_coarse_seq_length
    data = TokenizedExamples(tokenizer, examples, *lengths, fixed_lengths=settings.use_xla)
    num_train_steps = settings.num_train_steps(len(examples))
    plan = training_plan(data.lengths, settings.train_batch_size, num_train_steps, settings.random_seed)

    def make_objective() -> ClassificationObjective:
        policy = POLICIES[settings.precision]
        model = ClassificationModel(config, len(task.labels), settings.random_seed, dtype=policy)
        return ClassificationObjective(model, **settings.agreement)

    trainer = Trainer(settings, strategy, make_objective, num_train_steps, settings.num_warmup_steps(len(examples)))
    dev_data = TokenizedExamples(tokenizer, dev_examples, *lengths) if dev_examples else None
    predictor = Predictor(trainer.objective.model)

    def evaluate(step: int) -> Mapping[str, Any]:
        if dev_data is None:
            return {}
        return scores(predictor(dev_data, settings.eval_batch_size).by_head, dev_data.labels, settings.agreement)

    trainer.train(
        lambda step, context: data.training_batches(plan, step, context),
        evaluate,
        save_checkpoints_steps=settings.steps_per_epoch(len(examples)),
    )
