import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.training.step import STOP_REQUESTS, TrainFunction, dropout_seed
from tests.training.runs import BATCH, CLIP_NORM, Run, dataset

pytestmark = pytest.mark.usefixtures("optimized_graphs")


def test_the_gradients_of_these_runs_are_clipped():
    run = Run()
    function = TrainFunction(run.strategy, run.objective, run.optimizer, run.settings)
    norms = function(iter(dataset(0, tf.distribute.InputContext())), 4)["gradient_norm"]
    assert (norms > CLIP_NORM).all()


def test_training_changes_the_weights_and_reduces_the_loss():
    run = Run(model_type="ambert", num_train_steps=30)
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
    assert (metrics["sequences"] == BATCH).all() and (metrics["tokens"] == BATCH * 2 * 9).all()
    assert any(not np.array_equal(value, before[path]) for path, value in run.weights().items())


def test_dropout_seeds_differ_between_runs_steps_and_replicas():
    seeds = {
        tuple(dropout_seed(seed, tf.constant(step, tf.int64), replica).numpy())
        for seed in (1, 2)
        for step in range(3)
        for replica in range(2)
    }
    assert len(seeds) == 2 * 3 * 2


def test_all_replicas_learn_of_a_stop_request():
    run = Run(replicas=2)
    function = TrainFunction(run.strategy, run.objective, run.optimizer, run.settings)
    distributed = iter(run.strategy.distribute_datasets_from_function(lambda context: dataset(0, context)))
    assert function(distributed, 2, stop=True)[STOP_REQUESTS].tolist() == [2, 2]
    assert function(distributed, 1)[STOP_REQUESTS].tolist() == [0]


def test_the_parts_of_a_batch_do_not_overlap_in_memory():
    run = Run(gradient_accumulation_steps=4)
    function = TrainFunction(run.strategy, run.objective, run.optimizer, run.settings)
    iterator = iter(dataset(0, tf.distribute.InputContext()))
    graph = function._run.get_concrete_function(iterator, tf.constant(1), tf.constant(0.0)).graph.as_graph_def()
    bodies = next(value for field, value in graph.ListFields() if field.name == "library").function
    # The body of the loop over steps contains the loop over parts, and no part is computed outside of it.
    (step,) = (body for body in bodies if any("While" in node.op for node in body.node_def))
    (loop,) = (node for node in step.node_def if "While" in node.op)
    assert loop.attr["parallel_iterations"].i == 1
    assert not any("MatMul" in node.op for node in step.node_def)
    # Each part waits for the sums of the previous one. Otherwise, a second call fails for large variables, because
    # TensorFlow sums in temporary variables, which the last iteration creates but never destroys.
    (part,) = (body for body in bodies if body.signature.name == loop.attr["body"].func.name)
    waits = max(sum(name.startswith("^") for name in node.input) for node in part.node_def)
    assert waits >= len([v for v in run.model.trainable_variables if "pooler" not in v.path])
    assert any("MatMul" in node.op for body in bodies for node in body.node_def)
