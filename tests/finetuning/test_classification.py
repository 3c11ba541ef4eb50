import json
import os
import shutil

import numpy as np
import pytest

from ambert_tf.errors import InputError
from ambert_tf.finetuning.fine_tuning import run_fine_tuning
from ambert_tf.finetuning.fine_tuning_settings import ClassificationSettings
from ambert_tf.models.config import ModelConfig
from ambert_tf.training.loaded_model import load_model
from tests.classifiers import RECORDS, fine_tune, fine_tuned, write_json_lines, write_start


def run(tmp_path, **flags):
    """Runs the program with the fine-tuned model and writes the results to `tmp_path`."""
    directory, _ = fine_tuned()
    values = {
        "task_name": "sentence",
        "data_dir": directory,
        "init_checkpoint": os.path.join(directory, "model"),
        "output_dir": str(tmp_path / "results"),
    }
    return run_fine_tuning(ClassificationSettings(**{**values, **flags}))


def test_ambert_memorizes_sixteen_examples():
    directory, results = fine_tuned()
    assert results["accuracy"] > 0.99
    assert results["fine_accuracy"] > 0.99
    assert results["coarse_accuracy"] > 0.99
    assert results["agreement_loss"] < 0.1
    model = os.path.join(directory, "model")
    assert set(os.listdir(model)) >= {
        "checkpoints",
        "config.json",
        "eval_results.json",
        "eval_results.txt",
        "metrics.jsonl",
        "task.json",
        "tokenizer",
    }
    with open(os.path.join(model, "eval_results.json"), encoding="utf-8") as file:
        assert json.load(file) == results
    with open(os.path.join(model, "eval_results.txt"), encoding="utf-8") as file:
        assert "confusion matrix" in file.read()
    with open(os.path.join(model, "metrics.jsonl"), encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    assert lines[-1]["step"] == 100
    assert lines[-1]["eval_accuracy"] == results["accuracy"]
    assert {"fine_loss", "coarse_loss", "joint_loss", "agreement_loss"} <= set(lines[0])


@pytest.mark.parametrize("model_type", ["ambert_combo", "bert_coarse"])
def test_the_other_models_memorize_them(model_type):
    assert fine_tuned(model_type)[1]["accuracy"] > 0.99


def test_a_finished_run_is_not_trained_again(tmp_path):
    directory, results = fine_tuned()
    shutil.copytree(directory, tmp_path, dirs_exist_ok=True)
    again = fine_tune(tmp_path)
    assert again["step"] == results["step"]
    assert again["loss"] == pytest.approx(results["loss"], abs=1e-6)


@pytest.mark.parametrize(
    ("model_type", "grain"), [("ambert", "fine"), ("ambert", "coarse"), ("ambert_combo", "coarse")]
)
def test_evaluation_on_one_grain_runs_without_the_other(tmp_path, model_type, grain):
    directory, results = fine_tuned(model_type)
    single = run(tmp_path, do_eval=True, inference=grain, init_checkpoint=os.path.join(directory, "model"))
    assert single["accuracy"] == results[f"{grain}_accuracy"]
    assert single["joint_loss"] == pytest.approx(results[f"{grain}_loss"], abs=1e-5)


@pytest.mark.parametrize("model_type", ["ambert", "ambert_combo"])
def test_one_grain_has_no_variables_of_the_other(model_type):
    directory, _ = fine_tuned(model_type)
    model = load_model(os.path.join(directory, "model"), "fine").model
    assert model.config.coarse_vocab_size > model.config.vocab_size
    assert max(variable.shape[0] for variable in model.variables) == model.config.vocab_size
    assert not any("coarse" in variable.path for variable in model.variables)


def test_predictions_are_in_the_order_of_the_file(tmp_path):
    directory, _ = fine_tuned()
    texts = [record["sentence"] for record in RECORDS]
    records = [{"sentence": text, "id": index} for index, text in enumerate([*texts[::-1], "", "好" * 100_000])]
    write_json_lines(os.path.join(directory, "test.json"), records)
    run(tmp_path, do_predict=True, predict_batch_size=4)
    content = json.loads((tmp_path / "results" / "predictions.json").read_text(encoding="utf-8"))
    assert [item["id"] for item in content] == list(range(len(records)))
    assert [item["label"] for item in content[:16]] == [record["label"] for record in RECORDS[::-1]]
    probabilities = np.array([list(item["probabilities"].values()) for item in content])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


def test_training_starts_from_the_encoder_of_another_model(tmp_path):
    directory, _ = fine_tuned()
    write_json_lines(tmp_path / "train.json", RECORDS)
    write_json_lines(tmp_path / "labels.json", [{"label": record["label"]} for record in RECORDS[::4]])
    flags = {"data_dir": str(tmp_path), "do_train": True, "num_train_epochs": 1, "train_batch_size": 16}
    run(tmp_path, **flags, max_seq_length=16, learning_rate=1e-9)
    ours = load_model(str(tmp_path / "results")).model.backbone
    theirs = load_model(os.path.join(directory, "model")).model.backbone
    for variable, other in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_allclose(variable.value, other.value, atol=1e-6)


def test_labels_are_those_of_the_whole_training_file(tmp_path):
    """The first four examples have the label of sports only, and the development example has another one."""
    write_json_lines(tmp_path / "train.json", RECORDS)
    write_json_lines(tmp_path / "dev.json", RECORDS[-1:])
    flags = {"data_dir": str(tmp_path), "do_train": True, "do_eval": True, "max_examples": 4, "max_seq_length": 16}
    run(tmp_path, **flags, num_train_epochs=1, train_batch_size=4, learning_rate=1e-9)
    content = json.loads((tmp_path / "results" / "task.json").read_text(encoding="utf-8"))
    assert content["labels"] == ["life", "shop", "sports", "travel"]


def test_the_pooling_is_that_of_the_flag_and_part_of_the_model(tmp_path):
    write_json_lines(tmp_path / "train.json", RECORDS)
    write_json_lines(tmp_path / "dev.json", RECORDS)
    flags = {"data_dir": str(tmp_path), "max_seq_length": 16, "num_train_epochs": 1, "train_batch_size": 16}
    results = run(tmp_path, **flags, do_train=True, do_eval=True, classifier_pooling="mean")
    loaded = load_model(str(tmp_path / "results"))
    assert loaded.config.classifier_pooling == "mean"
    again = run(tmp_path, **flags, do_eval=True)
    assert again["loss"] == results["loss"]
    with pytest.raises(InputError, match="a run with classifier_pooling 'mean', not 'cls'"):
        run(tmp_path, **flags, do_train=True, classifier_pooling="cls")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"do_eval": True, "task_name": "tnews"}, "was fine-tuned on sentence"),
        ({"do_eval": True, "init_checkpoint": None}, "has no fine-tuned model"),
        ({"do_train": True, "init_checkpoint": None}, "--init_checkpoint is needed"),
        ({"do_train": True, "config": "tiny"}, "--init_checkpoint and --config are both set"),
        ({"do_train": True, "max_seq_length": 128}, "has only 64 position embeddings"),
        ({"do_train": True, "max_seq_length": 7}, "--max_seq_length=7"),
        ({"do_train": True, "train_batch_size": 0}, "--train_batch_size=0: must be at least 1"),
        ({"do_train": True, "model_type": "bert_fine", "max_seq_length": 16}, "has model type ambert"),
        ({"do_eval": True, "model_type": "bert_fine"}, "--model_type=bert_fine: the model in .* with ambert; omit the"),
        ({"do_eval": True, "classifier_pooling": "mean"}, "--classifier_pooling=mean: the model in .* with cls; omit"),
        ({"do_eval": True, "eval_batch_size": -1}, "--eval_batch_size=-1"),
        ({"do_train": True, "use_bf16": True, "use_fp16": True}, "choose one"),
    ],
)
def test_incompatible_flags(tmp_path, flags, message):
    with pytest.raises(InputError, match=message):
        run(tmp_path, **flags)
    assert not (tmp_path / "results").exists()


def test_a_hybrid_cannot_run_on_one_grain(tmp_path):
    with pytest.raises(InputError, match="reads both grains as one sequence"):
        fine_tune(tmp_path, model_type="ambert_hybrid", inference="fine")


def test_a_configuration_for_another_vocabulary(tmp_path):
    flags = write_start(tmp_path)
    config = ModelConfig.from_file(flags["config"]).to_dict()
    ModelConfig(**{**config, "vocab_size": 5}).to_file(str(tmp_path / "other.json"))
    with pytest.raises(InputError, match="vocab_size is 5, but the fine vocabulary"):
        fine_tune(tmp_path, config=str(tmp_path / "other.json"))


def test_other_labels_in_the_same_directory(tmp_path):
    directory, _ = fine_tuned()
    shutil.copytree(directory, tmp_path, dirs_exist_ok=True)
    with pytest.raises(InputError, match="contains a model with labels"):
        fine_tune(tmp_path, records=[{"sentence": "a", "label": "x"}, {"sentence": "b", "label": "y"}])


def test_an_unknown_task():
    with pytest.raises(InputError, match=r"^--task_name=tnew: no such task; did you mean tnews\?$"):
        run_fine_tuning(ClassificationSettings(task_name="tnew", do_eval=True))
