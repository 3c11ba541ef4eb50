import gc
import hashlib
import json
import os
import signal
import threading
import weakref

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.func_graph import FuncGraph

from ambert_tf.errors import InputError
from ambert_tf.training import loop
from ambert_tf.training.checkpoints import Checkpoints
from ambert_tf.training.progress import Progress
from tests.graphs import graph_optimizer
from tests.training.runs import BATCH, Run, dataset


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
        {"gradient_accumulation_steps": 2},
        {"replicas": 2, "gradient_accumulation_steps": 2, "steps_per_loop": 3},
        {"use_xla": True},
    ],
    ids=["two replicas", "accumulated", "all of it", "XLA"],
)
def test_splitting_a_batch_does_not_change_training(run, one_replica):
    with graph_optimizer():  # It may rewrite the sums of accumulated gradients.
        assert_close(Run(**run).train(), one_replica, 2e-6)


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


def test_float16_steps_with_an_overflow_are_skipped():
    run = Run(precision="float16", num_train_steps=3)
    run.optimizer.loss_scale.scale.assign(2.0**24)
    before = run.weights()
    run.train()
    assert float(run.optimizer.loss_scale.scale.numpy()) < 2.0**24
    assert int(run.optimizer.step.numpy()) == 3
    if int(run.optimizer.updates.numpy()) == 0:
        assert_close(run.weights(), before, 0.0)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_a_checkpoint_and_reports_it(tmp_path, caplog, number, status):
    handler = signal.getsignal(number)
    run = Run(num_train_steps=50)

    def with_signal(start, context):
        batches = dataset(start, context)

        def generate():
            for step, batch in enumerate(batches):
                if step == 2:
                    os.kill(os.getpid(), number)
                yield batch

        return tf.data.Dataset.from_generator(generate, output_signature=batches.element_spec)

    with pytest.raises(SystemExit) as ended:
        run.train(tmp_path, make_dataset=with_signal)
    assert ended.value.code == status
    step = int(run.optimizer.step.numpy())
    assert 1 <= step < 50
    resumed = Run(num_train_steps=50)
    state = {"optimizer": resumed.optimizer.variables()}
    assert Checkpoints(str(tmp_path), resumed.model, state).restore_latest().endswith(f"ckpt-{step}")
    assert signal.getsignal(number) == handler
    said = f"{number.name}: stopped at step {step} of 50; saved {tmp_path}/checkpoints/ckpt-{step}; "
    assert caplog.messages[-1] == said + "run the same command to resume"


def test_a_signal_in_the_last_evaluation_ends_the_run_too(tmp_path):
    run = Run(num_train_steps=1)
    with pytest.raises(SystemExit) as ended:
        run.train(tmp_path, after_checkpoint=lambda step: os.kill(os.getpid(), signal.SIGINT))
    assert ended.value.code == 130
    assert (tmp_path / "checkpoints" / "ckpt-1.index").exists()


def test_a_second_ctrl_c_exits_immediately_even_in_a_long_call():
    child = os.fork()
    if not child:
        with loop._StopSignals():
            for delay in (0.2, 0.6):
                threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT)).start()
            hashlib.pbkdf2_hmac("sha256", b"", b"", 100_000_000)  # a minute in which Python runs no signal handlers
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 130


def test_a_loss_that_is_not_finite_ends_the_run_with_its_step_and_records(tmp_path):
    run = Run(num_train_steps=9, save_checkpoints_steps=3)

    def poison(step):
        if step == 3:
            run.model.weights[0].assign(np.full(run.model.weights[0].shape, np.nan, np.float32))

    with pytest.raises(InputError, match="step 4: loss is nan, not a finite number; its batch: that after 3;"):
        run.train(tmp_path, after_checkpoint=poison, describe_batch=lambda step: f"that after {step}")
    assert (tmp_path / "checkpoints" / "ckpt-3.index").exists()
    assert not (tmp_path / "checkpoints" / "ckpt-6.index").exists()


class Poisoned:
    """An objective with a non-finite loss in some steps."""

    def __init__(self, objective, bad):
        self.objective, self.bad = objective, bad
        self.model, self.totals = objective.model, objective.totals

    def loss(self, batch, totals, seed):
        loss, metrics = self.objective.loss(batch, totals, seed)
        return loss + tf.where(tf.reduce_all(batch["poison"]), np.inf, 0.0), metrics


def poisoned(run, *steps):
    """Makes the loss of some steps (counted from 0) of a run infinite, but not the gradients. Returns its dataset."""
    run.objective = Poisoned(run.objective, steps)

    def batches(start, context):
        bad = tf.data.Dataset.range(start, 1000).map(lambda step: tf.reduce_any(step == tf.constant(steps, tf.int64)))
        rows = tf.data.Dataset.zip(dataset(start, context), bad)
        return rows.map(lambda batch, is_bad: {**batch, "poison": tf.fill([BATCH], is_bad)})

    return batches


def test_a_step_that_is_not_finite_is_skipped_on_request():
    run = Run(num_train_steps=5, on_nonfinite="skip")
    seen = []
    run.train(make_dataset=poisoned(run, 1, 3), describe_batch=lambda step: seen.append(step) or f"batch {step}")
    assert (int(run.optimizer.step.numpy()), int(run.optimizer.updates.numpy())) == (5, 3)
    assert seen == [1, 3]
    assert all(np.isfinite(value).all() for value in run.weights().values())


@pytest.mark.parametrize("on_nonfinite", ["stop", "skip"])
def test_a_nonfinite_loss_is_not_attributed_to_the_loss_scale(on_nonfinite):
    run = Run(precision="float16", num_train_steps=4, on_nonfinite=on_nonfinite)
    seen = []
    data = poisoned(run, 2)
    if on_nonfinite == "stop":
        with pytest.raises(InputError, match="step 3: loss is inf, not a finite number; its batch: that after 2"):
            run.train(make_dataset=data, describe_batch=lambda step: f"that after {step}")
    else:
        run.train(make_dataset=data, describe_batch=lambda step: seen.append(step) or "")
        assert seen == [2]


def test_too_many_skipped_steps_are_an_error(monkeypatch):
    monkeypatch.setattr(loop, "MAX_CONSECUTIVE_SKIPS", 3)
    run = Run(num_train_steps=9, on_nonfinite="skip")
    with pytest.raises(InputError, match=r"step 5: loss is inf.*it was not finite for 3 consecutive steps"):
        run.train(make_dataset=poisoned(run, 0, 2, 3, 4, 5))


def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path):
    """Compares weights and every line of metrics, except for speeds, on two replicas with dropout."""

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

    uninterrupted = run(tmp_path / "uninterrupted")
    assert [line["step"] for line in lines(tmp_path / "uninterrupted")] == [3, 4, 6, 8, 9, 10]

    # The data ends after step 7, three steps after the last checkpoint.
    with pytest.raises(InputError, match="the training data ends at step 7 of 10"):
        run(tmp_path / "broken", lambda step, context: dataset(step, context).take(2 * 7))
    assert lines(tmp_path / "broken")[-1]["step"] == 6
    resumed = run(tmp_path / "broken")
    for path, value in uninterrupted.items():
        np.testing.assert_array_equal(resumed[path], value)
    assert lines(tmp_path / "broken") == lines(tmp_path / "uninterrupted")


def test_a_run_leaves_no_graph_in_memory(monkeypatch):
    """Training several models in one process, such as a notebook, needs the memory of one."""
    made, create = weakref.WeakSet(), FuncGraph.__init__

    def record(graph, *args, **settings):
        create(graph, *args, **settings)
        made.add(graph)

    monkeypatch.setattr(FuncGraph, "__init__", record)
    gc.freeze()  # so that only the objects of this run are searched
    try:
        Run(num_train_steps=1).train()
        assert made
        gc.collect()
        assert not made
    finally:
        gc.unfreeze()
        gc.freeze()  # as in conftest.py
