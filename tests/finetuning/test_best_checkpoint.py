import json
import os

import pytest
import tensorflow as tf

from ambert_tf.finetuning.best_checkpoint import BestCheckpoint, read_finished
from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.training.checkpoints import Checkpoints
from tests.small_models import small_config

FACTS = {"best_step": 1}


class Model:
    """A model with one number."""

    def __init__(self):
        self.variables = AmbertBackbone.from_model_config(small_config("bert_fine", num_hidden_layers=1)).variables[:1]

    def set(self, value):
        self.variables[0].assign(tf.fill(self.variables[0].shape, float(value)))

    def get(self):
        return float(self.variables[0].numpy().ravel()[0])


@pytest.fixture
def run(tmp_path):
    """The model and the `BestCheckpoint` of a run of three steps whose first step was best."""
    model = Model()
    last = Checkpoints(str(tmp_path), model, {"state": {"step": tf.Variable(0)}})
    best = BestCheckpoint(str(tmp_path), model, "accuracy", patience=2)
    for step, accuracy in ((1, 0.9), (2, 0.5), (3, 0.7)):
        model.set(step)
        last.save(step)
        best.add(step, {"accuracy": accuracy})
    return model, best


def restored(tmp_path):
    model = Model()
    Checkpoints(str(tmp_path), model, {}).restore_latest()
    return model.get()


def test_the_best_weights_are_kept(run, tmp_path):
    _, best = run
    assert (best.value, best.step, best.stop) == (0.9, 1, True)
    best.finish(str(tmp_path), FACTS)
    assert sorted(os.listdir(tmp_path)) == ["checkpoints", "training.json"]
    assert restored(tmp_path) == 1
    assert read_finished(str(tmp_path)) == FACTS


def test_a_resumed_run_restores_its_state_and_counts_no_evaluation_twice(run, tmp_path):
    model, _ = run
    again = BestCheckpoint(str(tmp_path), model, "accuracy", patience=3)
    assert (again.value, again.step, again.without_better) == (0.9, 1, 2)
    again.add(3, {"accuracy": 0.7})
    assert not again.stop
    again.add(4, {"accuracy": 0.7})
    assert again.stop
    state = json.loads((tmp_path / "best" / "best.json").read_text())
    assert (state["metric"], state["evaluated"]) == ("accuracy", 4)


@pytest.mark.parametrize(("name", "number"), [("rename", 1), ("rename", 2), ("rmtree", 1)])
def test_a_kill_while_the_best_weights_are_moved(run, tmp_path, monkeypatch, name, number):
    _, best = run
    original, calls = getattr(tf.io.gfile, name), []

    def killed(*arguments, **named):
        calls.append(arguments)
        if len(calls) == number:
            raise KeyboardInterrupt
        return original(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(tf.io.gfile, name, killed)
        with pytest.raises(KeyboardInterrupt):
            best.finish(str(tmp_path), FACTS)
    assert read_finished(str(tmp_path)) == FACTS
    assert sorted(os.listdir(tmp_path)) == ["checkpoints", "training.json"]
    assert restored(tmp_path) == 1
