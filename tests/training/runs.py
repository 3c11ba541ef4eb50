"""Runs of a small model, shared by tests of training."""

import numpy as np
import tensorflow as tf

from ambert_tf.pretraining.pretraining_objective import PretrainingObjective
from ambert_tf.training.checkpoints import Checkpoints
from ambert_tf.training.cluster import is_chief
from ambert_tf.training.distribution import make_strategy
from ambert_tf.training.learning_rate import WarmupLinearDecay
from ambert_tf.training.loop import train
from ambert_tf.training.optimizer import AdamW, AdamWSettings
from ambert_tf.training.precision import POLICIES, LossScale
from ambert_tf.training.settings import TrainingSettings
from tests.small_models import masked_lm, pretraining_inputs, small_config

BATCH = 16
CLIP_NORM = 0.5


def dataset(start_step, context):
    """An infinite dataset of 48 sequences in order, in batches of 16."""
    size = context.get_per_replica_batch_size(BATCH)
    inputs = pretraining_inputs(rows=48)
    # The first half of a batch has fewer predictions than the second, so that a mean of means would be detected.
    inputs["fine_masked_lm_weights"].reshape(3, 16, 3)[:, :8, 1:] = 0
    records = tf.data.Dataset.from_tensor_slices(inputs).repeat()
    batches = records.skip(start_step * BATCH).batch(size)
    return batches.shard(context.num_input_pipelines, context.input_pipeline_id)


class Run:
    """A model with its optimizer and training loop. Gradients are clipped to CLIP_NORM."""

    def __init__(
        self,
        replicas=None,
        model_type="bert_fine",
        precision="float32",
        dropout=0.0,
        rate=1e-2,
        num_train_steps=4,
        **settings,
    ):
        self.strategy = make_strategy(replicas)
        self.num_train_steps = num_train_steps
        self.settings = TrainingSettings(**settings)
        config = small_config(
            model_type, num_hidden_layers=1, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout
        )
        with self.strategy.scope():
            xla = self.settings.use_xla
            self.model = masked_lm(config, static_shapes=xla, dtype=POLICIES[precision])
            # A large epsilon, because Adam's step would be almost random where a gradient is close to zero.
            self.optimizer = AdamW(
                self.model.trainable_variables,
                WarmupLinearDecay(rate, 100, 2),
                AdamWSettings(epsilon=1e-3, clip_norm=CLIP_NORM),
                LossScale(2.0**10) if precision == "float16" else None,
            )
        self.objective = PretrainingObjective(self.model)

    def train(self, output_dir=None, make_dataset=dataset, progress=None, after_checkpoint=None, describe_batch=None):
        checkpoints = None
        if output_dir is not None:
            state = {"optimizer": self.optimizer.variables()}
            checkpoints = Checkpoints(str(output_dir), self.model, state, writes=is_chief(self.strategy))
            checkpoints.restore_latest()
        train(
            self.strategy, self.objective, self.optimizer, make_dataset, self.num_train_steps, self.settings,
            checkpoints, progress, after_checkpoint, describe_batch,
        )  # fmt: skip
        return self.weights()

    def weights(self):
        return {variable.path: np.asarray(variable) for variable in self.model.weights}
