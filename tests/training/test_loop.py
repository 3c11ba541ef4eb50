import json
import os
import signal

import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.modeling.pretraining_model import PretrainingModel
from ambert_tf.tasks.pretraining_objective import PretrainingObjective
from ambert_tf.training.checkpoints import Checkpoints
from ambert_tf.training.distribution import make_strategy
from ambert_tf.training.loop import LoopSettings, TrainFunction, dropout_seed, train
from ambert_tf.training.optimizer import AdamW, AdamWSettings, WarmupLinearDecay
from ambert_tf.training.precision import POLICIES, LossScale
from ambert_tf.training.progress import Progress
from tests.small_models import pretraining_inputs, small_config

BATCH = 8


def dataset(start_step, context):
    """Endless batches of 24 sequences in order; a step takes 8."""
    size = context.get_per_replica_batch_size(BATCH)
    inputs = pretraining_inputs(rows=24)
    # The first half of a batch has fewer predictions than the second, so that a mean of means would show.
    inputs["fine_masked_lm_weights"].reshape(3, 8, 3)[:, :4, 1:] = 0
    records = tf.data.Dataset.from_tensor_slices(inputs).repeat()
    return records.skip(start_step * BATCH).batch(size)


class Run:
    """A model, its optimizer and its loop."""

    def __init__(self, replicas=None, model_type="ambert", precision="float32", dropout=0.0, rate=1e-2, **settings):
        self.strategy = make_strategy(replicas)
        self.settings = LoopSettings(**{"num_train_steps": 4, **settings})
        config = small_config(
            model_type, num_hidden_layers=1, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout
        )
        with self.strategy.scope():
            xla = self.settings.use_xla
            self.model = PretrainingModel(config, static_shapes=xla, dtype=POLICIES[precision])
            # A large epsilon: where a gradient is next to nothing, Adam's step would be next to random.
            self.optimizer = AdamW(
                self.model.trainable_variables,
                WarmupLinearDecay(rate, 100, 2),
                AdamWSettings(epsilon=1e-3),
                LossScale(2.0**10) if precision == "float16" else None,
            )
        self.objective = PretrainingObjective(self.model)

    def train(self, output_dir=None, make_dataset=dataset, progress=None, after_checkpoint=None):
        checkpoints = None
        if output_dir is not None:
            state = {"optimizer": self.optimizer.variables()}
            checkpoints = Checkpoints(str(output_dir), self.model, state)
            checkpoints.restore_latest()
        train(
            self.strategy, self.objective, self.optimizer, make_dataset, self.settings, checkpoints, progress,
            after_checkpoint,
        )  # fmt: skip
        return self.weights()

    def weights(self):
        return {variable.path: np.asarray(variable) for variable in self.model.weights}


@pytest.fixture(scope="module")
def one_replica():
    return Run().train()


def assert_close(weights, expected, tolerance):
    for path, value in expected.items():
        np.testing.assert_allclose(weights[path], value, atol=tolerance, err_msg=path)


@pytest.mark.parametrize(
    "run",
    [
        {"replicas": 2},
        {"gradient_accumulation_steps": 4},
        {"replicas": 2, "gradient_accumulation_steps": 2, "steps_per_loop": 3},
        {"use_xla": True},
    ],
    ids=["two replicas", "accumulated", "all of it", "XLA"],
)
def test_how_a_batch_is_divided_does_not_matter(run, one_replica):
    assert_close(Run(**run).train(), one_replica, 2e-6)


def test_training_changes_the_weights_and_lowers_the_loss(one_replica):
    run = Run(num_train_steps=30)
    before = run.weights()
    losses = []
    function = TrainFunction(run.strategy, run.objective, run.optimizer, run.settings)
    iterator = iter(dataset(0, tf.distribute.InputContext()))
    for _ in range(10):
        metrics = function(iterator, 3)
        losses += list(metrics["loss"])
        np.testing.assert_allclose(
            metrics["loss"], metrics["fine_masked_lm_loss"] + metrics["coarse_masked_lm_loss"], rtol=1e-6
        )
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])
    assert (metrics["sequences"] == 8).all() and (metrics["tokens"] == 8 * 2 * 9).all()
    assert any(not np.array_equal(value, before[path]) for path, value in run.weights().items())


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_trains_like_float32(precision, one_replica):
    run = Run(precision=precision)
    weights = run.train()
    table = "backbone/embeddings/fine_token_embeddings"
    start = Run().weights()[table]
    moved, expected = weights[table] - start, one_replica[table] - start
    correlation = np.corrcoef(moved.ravel(), expected.ravel())[0, 1]
    assert correlation > 0.98
    assert all(value.dtype == np.float32 for value in weights.values())


def test_float16_steps_with_an_overflow_are_left_out():
    run = Run(precision="float16", num_train_steps=3)
    run.optimizer.loss_scale.scale.assign(2.0**24)
    before = run.weights()
    run.train()
    assert float(run.optimizer.loss_scale.scale.numpy()) < 2.0**24
    assert int(run.optimizer.step.numpy()) == 3
    if int(run.optimizer.updates.numpy()) == 0:
        assert_close(run.weights(), before, 0.0)


def test_dropout_seeds_differ_between_runs_steps_and_replicas():
    seeds = {
        tuple(dropout_seed(seed, tf.constant(step, tf.int64), replica).numpy())
        for seed in (1, 2)
        for step in range(3)
        for replica in range(2)
    }
    assert len(seeds) == 2 * 3 * 2


def test_sigterm_writes_a_checkpoint_and_ends_with_143(tmp_path):
    run = Run(num_train_steps=50)

    def with_signal(start, context):
        batches = dataset(start, context)

        def generate():
            for step, batch in enumerate(batches):
                if step == 2:
                    os.kill(os.getpid(), signal.SIGTERM)
                yield batch

        return tf.data.Dataset.from_generator(generate, output_signature=batches.element_spec)

    with pytest.raises(SystemExit) as ended:
        run.train(tmp_path, make_dataset=with_signal)
    assert ended.value.code == 143
    step = int(run.optimizer.step.numpy())
    assert 1 <= step < 50
    resumed = Run(num_train_steps=50)
    state = {"optimizer": resumed.optimizer.variables()}
    assert Checkpoints(str(tmp_path), resumed.model, state).restore_latest().endswith(f"ckpt-{step}")
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_loss_that_is_not_finite_ends_the_run_with_its_step(tmp_path):
    run = Run(num_train_steps=9, save_checkpoints_steps=3)

    def poison(step):
        if step == 3:
            run.model.weights[0].assign(np.full(run.model.weights[0].shape, np.nan, np.float32))

    with pytest.raises(InputError, match="step 4: loss is nan, not a finite number"):
        run.train(tmp_path, after_checkpoint=poison)
    assert (tmp_path / "checkpoints" / "ckpt-3.index").exists()
    assert not (tmp_path / "checkpoints" / "ckpt-6.index").exists()


def test_a_resumed_run_is_the_undisturbed_run_bit_for_bit(tmp_path):
    """On two replicas, with dropout: weights and every line of metrics but the speeds."""

    def run(directory, make_dataset=dataset):
        started = Run(replicas=2, dropout=0.3, save_checkpoints_steps=4, num_train_steps=10)
        state = {"optimizer": started.optimizer.variables()}
        Checkpoints(str(directory), started.model, state).restore_latest()
        progress = Progress(str(directory), 10, int(started.optimizer.step.numpy()), log_steps=3)
        try:
            return started.train(directory, make_dataset, progress)
        finally:
            progress.close()

    def lines(directory):
        read = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
        return [{k: v for k, v in line.items() if not k.endswith("per_second")} for line in read]

    undisturbed = run(tmp_path / "undisturbed")
    assert [line["step"] for line in lines(tmp_path / "undisturbed")] == [3, 4, 6, 8, 9, 10]

    # The data end after step 7, which is three steps beyond the last checkpoint.
    with pytest.raises(InputError, match="the training data end at step 7 of 10"):
        run(tmp_path / "broken", lambda step, context: dataset(step, context).take(2 * 7))
    assert lines(tmp_path / "broken")[-1]["step"] == 6
    resumed = run(tmp_path / "broken")
    for path, value in undisturbed.items():
        np.testing.assert_array_equal(resumed[path], value)
    assert lines(tmp_path / "broken") == lines(tmp_path / "undisturbed")
