"""Several runs, finished and interrupted ones, and what may not change between them."""

import dataclasses
import json
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from ambert_tf.errors import InputError
from ambert_tf.finetuning.best_checkpoint import read_finished
from ambert_tf.finetuning.fine_tuning import run_fine_tuning
from ambert_tf.finetuning.fine_tuning_settings import ClassificationSettings
from ambert_tf.finetuning.training_runs import (
    _check_directory,
    _check_finished,
    _keep_best,
    _prepare_directory,
    run_settings,
)
from ambert_tf.models.config import ModelConfig
from ambert_tf.models.task_config import TaskConfig
from ambert_tf.outputs import remove
from ambert_tf.tasks.registry import TASKS
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from tests.classifiers import RECORDS, fine_tune, write_json_lines


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    """The directory of a finished run of one step, which ignored the best checkpoint of an interrupted one."""
    directory = tmp_path_factory.mktemp("short")
    leave_best(directory / "model")
    fine_tune(directory, model_type="bert_fine", num_train_epochs=1, keep_best=False)
    return directory


def leave_best(model_dir):
    """Writes what an interrupted run leaves in `best`: a result better than any other, and a checkpoint."""
    (model_dir / "best" / "checkpoints").mkdir(parents=True)
    (model_dir / "best" / "checkpoints" / "ckpt-1000.index").write_text("")
    state = {"value": 2.0, "step": 1000, "without_better": 0, "evaluated": 1000}
    (model_dir / "best" / "best.json").write_text(json.dumps(state))


def test_a_leftover_best_checkpoint_does_not_replace_the_last_one(short_run, tmp_path):
    shutil.copytree(short_run / "model", tmp_path / "model")
    assert {name.split(".")[0] for name in os.listdir(tmp_path / "model/checkpoints")} == {"checkpoint", "ckpt-1"}
    assert read_finished(str(tmp_path / "model"))["last_step"] == 1
    (tmp_path / "model" / "training.json").unlink()
    leave_best(tmp_path / "model")
    flags = {"model_type": "bert_fine", "num_train_epochs": 1}
    fine_tune(tmp_path, **flags, do_eval=False)
    read_finished(str(tmp_path / "model"))
    assert sorted(os.listdir(tmp_path / "model/checkpoints")) == sorted(os.listdir(short_run / "model/checkpoints"))
    # A run that begins anew does not take the earlier one's result for its own.
    for name in ("checkpoints", "training.json"):
        remove(str(tmp_path / "model" / name))
    leave_best(tmp_path / "model")
    results = fine_tune(tmp_path, **flags)
    training = read_finished(str(tmp_path / "model"))
    assert (training["best_step"], training["best"]) == (1, results["accuracy"])


def test_the_best_of_several_runs_is_not_replaced(tmp_path):
    leave_best(tmp_path)
    (tmp_path / "runs" / "a" / "checkpoints").mkdir(parents=True)
    (tmp_path / "runs" / "a" / "checkpoints" / "ckpt-3.index").write_text("")
    run = {"directory": "runs/a", "learning_rate": 0.1, "train_batch_size": 4, "best": 0.5, "metric": "accuracy"}
    _keep_best(str(tmp_path), [run])
    assert not (tmp_path / "best").exists()


def test_several_seeds_and_learning_rates(tmp_path):
    results = fine_tune(
        tmp_path, model_type="bert_fine", num_runs=2, grid_learning_rates="0.005,1e-9", num_train_epochs=60,
        save_checkpoints_steps=60,
    )  # fmt: skip
    runs = results["runs"]
    assert runs["settings"] == {"learning_rate": 0.005, "train_batch_size": 16}
    assert len(runs["all"]) == 4
    assert len(runs["values"]) == 2
    assert runs["mean"] == pytest.approx(np.mean(runs["values"]))
    assert runs["deviation"] == pytest.approx(np.std(runs["values"], ddof=1))
    assert results["accuracy"] == max(runs["values"]) > 0.9
    assert {run["random_seed"] for run in runs["all"]} == {12345, 12346}


def test_a_grid_of_one_value_is_that_value():
    given = ClassificationSettings(task_name="cola", grid_learning_rates="1e-5", grid_batch_sizes="16")
    settings = given.for_task(TASKS["cola"], None, has_test=False)
    (plan,) = run_settings(settings)
    assert (plan.learning_rate, plan.train_batch_size, plan.output_dir) == (1e-5, 16, settings.output_dir)


def test_each_value_of_a_grid_counts_once_and_has_a_directory_of_its_own():
    given = ClassificationSettings(
        task_name="cola", grid_learning_rates="1e-4,0.0001,1.0000001e-4,2e-5", grid_batch_sizes="16,16", num_runs=1
    )
    plans = run_settings(given.for_task(TASKS["cola"], None, has_test=False))
    assert [(plan.learning_rate, plan.train_batch_size) for plan in plans] == [
        (1e-4, 16), (1.0000001e-4, 16), (2e-5, 16)
    ]  # fmt: skip
    assert [os.path.basename(plan.output_dir) for plan in plans] == [
        "learning_rate0.0001-batch16-seed12345",
        "learning_rate0.00010000001-batch16-seed12345",
        "learning_rate2e-05-batch16-seed12345",
    ]


def test_a_pre_trained_model_is_not_replaced(short_run, tmp_path):
    shutil.copytree(short_run / "model" / "checkpoints", tmp_path / "model" / "checkpoints")
    with pytest.raises(InputError, match=r"--output_dir=.*model: contains a pre-trained model; choose another dir"):
        fine_tune(tmp_path, model_type="bert_fine")
    assert os.listdir(tmp_path / "model") == ["checkpoints"]


def test_a_run_that_failed_before_its_first_checkpoint_leaves_the_directory_free(short_run, tmp_path):
    config = ModelConfig.from_file(str(short_run / "model" / "config.json"))
    tokenizer = MultiGrainedTokenizer.load(str(short_run / "model" / "tokenizer"))
    task = TaskConfig.read(str(short_run / "model"))
    for changes, labels in (({}, ("bad", "good")), ({"hidden_size": 8}, ("no", "yes"))):
        form = SimpleNamespace(config=dataclasses.replace(task, labels=labels), write_facts=lambda directory: None)
        changed = dataclasses.replace(config, **changes)
        _check_directory(str(tmp_path), changed, tokenizer, form)
        _prepare_directory(str(tmp_path), changed, tokenizer, form, finished=False)
    assert ModelConfig.from_file(str(tmp_path / "config.json")).hidden_size == 8
    assert TaskConfig.read(str(tmp_path)).labels == ("no", "yes")
    # But the unfinished runs of a grid are not mixed with others.
    (tmp_path / "runs").mkdir()
    with pytest.raises(InputError, match="contains a model with labels"):
        _check_directory(str(tmp_path), config, tokenizer, SimpleNamespace(config=task))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dropout": 0.3}, "trained with dropout=None, not 0.3"),
        ({"optimizer": "lamb"}, "trained with optimizer=adamw, not lamb"),
        ({"keep_best": True}, "trained with keep_best=False, not True"),
        ({"num_runs": 2, "learning_rate": 0.001}, "trained with learning_rate=0.005, not 0.001"),
        ({"records": RECORDS[1:]}, r"trained with training_data=16 rows, CRC-32 \w{8}, not 15 rows, CRC-32 \w{8}"),
    ],
)
def test_a_finished_run_is_not_taken_for_one_with_other_settings(short_run, changes, message):
    """The settings are compared before the directory is written."""
    before = {path: path.read_bytes() for path in short_run.glob("model/*.*")}
    with pytest.raises(InputError, match=rf"--output_dir=.*model: contains a model {message}; choose another"):
        fine_tune(short_run, **{"model_type": "bert_fine", "num_train_epochs": 1, "keep_best": False, **changes})
    assert {path: path.read_bytes() for path in short_run.glob("model/*.*")} == before
    assert not (short_run / "model" / "runs").exists()


def test_a_grid_replaces_the_model_of_one_of_its_runs_only(tmp_path):
    def check(**flags):
        given = ClassificationSettings(
            task_name="cola", do_train=True, do_eval=True, output_dir=str(tmp_path), config="tiny", **flags
        )
        _check_finished(str(tmp_path), run_settings(given.for_task(TASKS["cola"], None, has_test=False)), train)

    train = SimpleNamespace(digest="16 rows, CRC-32 01234567")
    check(grid_learning_rates="1e-5,2e-5")  # there is no model yet
    kept = {"learning_rate": 2e-5, "train_batch_size": 32, "random_seed": 12345, "dropout": 0.3}
    (tmp_path / "training.json").write_text(json.dumps({**kept, "training_data": train.digest}))
    check(grid_learning_rates="1e-5,2e-5,3e-5", num_runs=2, dropout=0.3)
    with pytest.raises(InputError, match=r"trained with dropout=0\.3, not None"):
        check(grid_learning_rates="1e-5,2e-5")
    with pytest.raises(InputError, match=r"trained with learning_rate=2e-05, not 1e-05"):
        check(grid_learning_rates="1e-5,3e-5", dropout=0.3)


def test_neither_the_place_of_the_data_nor_a_selection_without_evaluation_makes_another_run(
    short_run, tmp_path, caplog
):
    moved = str(tmp_path / "moved.json")
    write_json_lines(moved, RECORDS)
    before = (short_run / "model" / "training.json").read_text()
    fine_tune(short_run, model_type="bert_fine", num_train_epochs=1, do_eval=False, train_file=moved)
    assert "training has already finished" in caplog.text
    assert (short_run / "model" / "training.json").read_text() == before


def test_a_model_is_not_evaluated_into_the_directory_of_another(short_run, tmp_path):
    other = shutil.copytree(short_run / "model", tmp_path / "other")
    flags = {"task_name": "sentence", "data_dir": str(short_run), "output_dir": str(short_run / "model")}
    with pytest.raises(InputError, match=r"--init_checkpoint=.*other: --output_dir=.*model has another fine-tuned"):
        run_fine_tuning(ClassificationSettings(**flags, do_eval=True, init_checkpoint=str(other)))


def test_a_loss_that_is_not_finite_names_the_examples(tmp_path):
    records = [{"id": f"review {number}", **record} for number, record in enumerate(RECORDS)]
    with pytest.raises(InputError, match=r"its batch: the examples with id review \d+, review .*train.json"):
        fine_tune(tmp_path, records, "bert_fine", learning_rate=1e30, warmup_proportion=0, num_train_epochs=5)


def test_the_best_checkpoint_is_kept_and_training_ends_early(tmp_path):
    # Some evaluation reaches 100 % accuracy, which cannot be improved.
    results = fine_tune(tmp_path, num_train_epochs=400, save_checkpoints_steps=25, early_stopping_patience=2)
    with open(tmp_path / "model" / "training.json", encoding="utf-8") as file:
        training = json.load(file)
    assert training["best"] == results["accuracy"] == 1
    assert results["step"] == training["best_step"] == training["last_step"] - 50
    assert training["last_step"] < training["num_train_steps"] == 400
    assert not os.path.exists(tmp_path / "model" / "best")
    with pytest.raises(InputError, match=r"contains a model trained with learning_rate=0.005, not 0.001"):
        fine_tune(tmp_path, learning_rate=0.001, num_train_epochs=400)
