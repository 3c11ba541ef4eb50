import json

import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.pretraining.pretraining_objective import PretrainingObjective
from ambert_tf.training.checkpoints import restore_backbone
from ambert_tf.training.optimizer import AdamW, Lamb
from ambert_tf.training.settings import TrainingSettings
from ambert_tf.training.trainer import Trainer, strategy_for
from tests.small_models import masked_lm, small_config
from tests.training.runs import BATCH, dataset


def trainer(directory, steps=2, training_data=None, **changes):
    settings = TrainingSettings(**{"output_dir": str(directory), "train_batch_size": BATCH, "log_steps": 1, **changes})
    config = small_config("bert_fine", num_hidden_layers=1)
    return Trainer(
        settings,
        strategy_for(settings),
        lambda: PretrainingObjective(masked_lm(config)),
        steps,
        num_warmup_steps=0,
        restore_initial=restore_backbone,
        training_data=training_data,
    )


def lines(directory):
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def test_a_run_evaluates_at_each_checkpoint_and_ends_once(tmp_path):
    first = trainer(tmp_path, save_checkpoints_steps=1)
    assert (first.step, first.origin, first.finished) == (0, "random initialization", False)
    assert isinstance(first.optimizer, AdamW) and not isinstance(first.optimizer, Lamb)
    first.train(dataset, evaluate=lambda step: {"score": 10 * step})
    assert [(line["step"], line["eval_score"]) for line in lines(tmp_path) if "eval_score" in line] == [
        (1, 10),
        (2, 20),
    ]

    again = trainer(tmp_path)
    assert (again.step, again.finished) == (2, True)
    assert again.origin.endswith("ckpt-2")
    again.train(dataset, evaluate=lambda step: pytest.fail("nothing is left to do"))


@pytest.mark.parametrize("step", [1, 2])
def test_a_run_killed_before_its_evaluation_catches_up(tmp_path, step):
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path, save_checkpoints_steps=1).train(dataset, evaluate=lambda at: _killed_at(step, at))
    again = trainer(tmp_path, save_checkpoints_steps=1)
    assert again.step == step
    again.train(dataset, evaluate=lambda at: {"score": 10 * at})
    assert [line["eval_score"] for line in lines(tmp_path) if "eval_score" in line] == [10, 20]


def test_a_run_stopped_between_two_checkpoints_owes_no_evaluation(tmp_path):
    """An uninterrupted run would not evaluate there, so the best checkpoint must not depend on it."""
    trainer(tmp_path, steps=1).train(dataset)
    trainer(tmp_path, steps=4, save_checkpoints_steps=2).train(dataset, evaluate=lambda at: {"score": at})
    assert [line["step"] for line in lines(tmp_path) if "eval_score" in line] == [2, 4]


def test_a_run_that_stopped_early_does_not_resume(tmp_path):
    for _ in range(2):
        stopped = trainer(tmp_path, steps=3, save_checkpoints_steps=1)
        stopped.train(dataset, evaluate=lambda at: {"score": at}, should_stop=lambda: True)
        assert int(stopped.optimizer.step.numpy()) == 1


def _killed_at(step, at):
    if at == step:
        raise KeyboardInterrupt
    return {"score": 10 * at}


def test_other_training_data_is_named_on_a_restart(tmp_path, caplog):
    for data in ("16 rows", "16 rows", "15 rows"):
        assert "resuming" not in caplog.text
        run = trainer(tmp_path, training_data=data)
        run.optimizer.step.assign(1)
        run.checkpoints.save(1)
    assert "resuming at step 1 with training_data=15 rows; it was 16 rows" in caplog.messages


def test_settings_that_change_on_a_restart_are_named(tmp_path, caplog):
    for changes, steps in (({}, 2), ({}, 2), ({"learning_rate": 5e-4, "log_steps": 7}, 3)):
        caplog.clear()
        run = trainer(tmp_path, steps, **{"log_steps": 1, **changes})
        run.optimizer.step.assign(1)
        run.checkpoints.save(1)
        if not changes:
            assert "resuming" not in caplog.text
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [
        "resuming at step 1 with --learning_rate=0.0005; it was 0.0001",
        "resuming at step 1 with --num_train_steps=3; it was 2",
    ]


def test_a_run_resumes_in_another_precision(tmp_path, caplog):
    # The precision of each of four runs, and the loss scale that it finds.
    for step, scale in enumerate((None, 2.0**15, 8.0, None)):
        caplog.clear()
        run = trainer(tmp_path, steps=9, use_fp16=scale is not None)
        assert run.step == step
        warning = "ckpt-1: has no loss scale, because it was trained without --use_fp16; using a new one"
        assert (warning in caplog.text) == (step == 1)
        if scale is not None:
            assert float(run.optimizer.loss_scale.scale.numpy()) == scale
            run.optimizer.loss_scale.scale.assign(8.0)
        run.optimizer.step.assign(step + 1)
        run.checkpoints.save(step + 1)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [("linear", [1e-4, 0.9e-4]), ("cosine", [1e-4, 0.5e-4 * (1 + np.cos(0.1 * np.pi))]), ("wsd", [1e-4, 1e-4])],
)
def test_the_learning_rate_schedule_is_that_of_the_flag(tmp_path, schedule, rates):
    made = trainer(tmp_path, 10, learning_rate_schedule=schedule)
    assert [float(made.optimizer.learning_rate(step)) for step in (0, 1)] == pytest.approx(rates)


def test_the_settings_choose_optimizer_and_loss_scale(tmp_path):
    made = trainer(tmp_path, optimizer="lamb", use_fp16=True, weight_decay=0.25)
    assert isinstance(made.optimizer, Lamb)
    assert made.optimizer.settings.weight_decay == 0.25
    assert float(tf.convert_to_tensor(made.optimizer.loss_scale.scale)) == 2.0**15


def test_the_batch_size_must_be_divisible_by_replicas_and_parts(tmp_path):
    settings = TrainingSettings(output_dir="run", train_batch_size=6, num_replicas=2, gradient_accumulation_steps=2)
    with pytest.raises(InputError, match=r"--train_batch_size=6: must be a multiple of 4 \(2 replicas times"):
        strategy_for(settings)
    assert strategy_for(settings, training=False).num_replicas_in_sync == 2
