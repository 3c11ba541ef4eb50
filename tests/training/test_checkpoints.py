import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.training.checkpoints import (
    Checkpoints,
    checkpoint_prefix,
    load_model_directory,
    prepare_model_directory,
    restore_backbone,
    restore_variables,
)
from tests.small_models import masked_lm, small_config
from tests.tokenizers import english_tokenizer


def pretraining_model(seed=0, model_type="ambert", **changes):
    return masked_lm(small_config(model_type, **changes), seed=seed)


def weights(model):
    return {variable.path: np.asarray(variable) for variable in model.weights}


@pytest.fixture(scope="module")
def model_directory(tmp_path_factory):
    """A model directory with checkpoints of steps 10 and 20, and the weights of the latter."""
    directory = tmp_path_factory.mktemp("run") / "model"
    tokenizer = english_tokenizer()
    prepare_model_directory(str(directory), small_config(), tokenizer)
    model, step = pretraining_model(seed=1), tf.Variable(10)
    checkpoints = Checkpoints(str(directory), model, {"state": {"step": step}})
    checkpoints.save(10)
    model.backbone.encoders["fine"].pooler.bias.assign(np.arange(16))
    step.assign(20)
    checkpoints.save(20)
    return directory, weights(model)


def test_a_moved_model_directory_is_restored(model_directory, tmp_path):
    directory, expected = model_directory
    moved = shutil.copytree(directory, tmp_path / "elsewhere" / "moved")
    loaded = load_model_directory(str(moved))
    assert loaded.config == small_config()
    assert loaded.tokenizer_directory == str(moved / "tokenizer")
    assert loaded.checkpoint == str(moved / "checkpoints" / "ckpt-20")
    assert str(directory) not in (moved / "checkpoints" / "checkpoint").read_text()

    model = pretraining_model(seed=2)
    restore_variables(model.variables, loaded.checkpoint)
    for path, value in expected.items():
        np.testing.assert_array_equal(weights(model)[path], value)


def test_a_checkpoint_in_a_model_directory_has_its_configuration_and_tokenizer(model_directory):
    directory, _ = model_directory
    whole = load_model_directory(str(directory))
    for name in ("ckpt-10", "ckpt-10.index"):
        found = load_model_directory(str(directory / "checkpoints" / name))
        assert found == whole._replace(checkpoint=str(directory / "checkpoints" / "ckpt-10"))
    assert load_model_directory(str(directory / "checkpoints")) == whole


def test_the_state_of_a_run_is_restored(model_directory, tmp_path):
    moved = shutil.copytree(model_directory[0], tmp_path / "moved")
    step = tf.Variable(0)
    prefix = Checkpoints(str(moved), pretraining_model(), {"state": {"step": step}}).restore_latest()
    assert prefix == str(moved / "checkpoints" / "ckpt-20")
    assert int(step) == 20
    assert Checkpoints(str(tmp_path / "new"), pretraining_model(), {}).restore_latest() is None


def test_a_damaged_checkpoint_is_skipped(model_directory, tmp_path):
    moved = shutil.copytree(model_directory[0], tmp_path / "moved")
    for name in os.listdir(moved / "checkpoints"):
        if name.startswith("ckpt-20"):
            path = moved / "checkpoints" / name
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    step = tf.Variable(0)
    prefix = Checkpoints(str(moved), pretraining_model(), {"state": {"step": step}}).restore_latest()
    assert prefix.endswith("ckpt-10")
    assert int(step) == 10


def test_an_empty_data_file_is_skipped(model_directory, tmp_path):
    moved = shutil.copytree(model_directory[0], tmp_path / "moved")
    (data,) = (moved / "checkpoints").glob("ckpt-20.data*")
    data.write_bytes(b"")
    step = tf.Variable(0)
    assert Checkpoints(str(moved), pretraining_model(), {"state": {"step": step}}).restore_latest().endswith("ckpt-10")


@pytest.mark.parametrize("lost", ["empty", "missing"])
def test_a_lost_list_of_checkpoints_is_rebuilt(model_directory, tmp_path, monkeypatch, lost):
    moved = shutil.copytree(model_directory[0], tmp_path / "moved")
    if lost == "empty":
        (moved / "checkpoints" / "checkpoint").write_bytes(b"")
    else:
        os.remove(moved / "checkpoints" / "checkpoint")
        monkeypatch.chdir(tmp_path)
        assert load_model_directory("moved").checkpoint == "moved/checkpoints/ckpt-20"
    assert load_model_directory(str(moved)).checkpoint.endswith("ckpt-20")
    step = tf.Variable(0)
    assert Checkpoints(str(moved), pretraining_model(), {"state": {"step": step}}).restore_latest().endswith("ckpt-20")
    assert int(step) == 20


def test_only_the_newest_checkpoints_are_kept(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), pretraining_model(), {}, keep=2)
    for step in (1, 2, 3):
        checkpoints.save(step)
    names = {name.split(".")[0] for name in os.listdir(tmp_path / "checkpoints")}
    assert names == {"checkpoint", "ckpt-2", "ckpt-3"}


def test_the_backbone_is_restored_without_heads(model_directory):
    directory, expected = model_directory
    model = pretraining_model(seed=2)
    before = weights(model)
    assert restore_backbone(model, str(directory)) == str(directory / "checkpoints" / "ckpt-20")
    for path, value in weights(model).items():
        np.testing.assert_array_equal(value, (expected if path.startswith("backbone/") else before)[path])
    older = AmbertBackbone.from_model_config(small_config())
    restore_backbone(older, str(directory / "checkpoints" / "ckpt-10"))
    np.testing.assert_array_equal(older.encoders["fine"].pooler.bias, np.zeros(16))


def test_single_grain_berts_start_from_an_ambert(model_directory):
    directory, expected = model_directory
    for grain in ("fine", "coarse"):
        model = AmbertBackbone.from_model_config(small_config(f"bert_{grain}"))
        restore_backbone(model, str(directory))
        np.testing.assert_array_equal(
            model.token_table(grain), expected[f"backbone/embeddings/{grain}_token_embeddings"]
        )


def test_mismatched_shapes_are_named(model_directory):
    directory, _ = model_directory
    with pytest.raises(
        InputError, match=r"fine_token_embeddings has shape \(50, 16\) in the checkpoint and \(51, 16\)"
    ):
        restore_backbone(AmbertBackbone.from_model_config(small_config(vocab_size=51)), str(directory))
    with pytest.raises(InputError, match="has no variable backbone/encoder/layer_2/"):
        restore_backbone(AmbertBackbone.from_model_config(small_config(num_hidden_layers=3)), str(directory))
    with pytest.raises(InputError, match="has no variable backbone/fine_bert/"):
        restore_backbone(AmbertBackbone.from_model_config(small_config("ambert_combo")), str(directory))


def test_errors_say_what_a_model_directory_is(model_directory, tmp_path):
    with pytest.raises(InputError, match=r"--init_checkpoint=.*/none: no such checkpoint; name a model directory"):
        checkpoint_prefix(str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"not a model directory: config\.json is missing"):
        checkpoint_prefix(str(tmp_path))
    with pytest.raises(InputError, match=r"--model_dir=.*none: no such directory"):
        load_model_directory(str(tmp_path / "none"), "model_dir")
    copied = shutil.copytree(model_directory[0], tmp_path / "copy [1]")
    for path in (copied, copied / "checkpoints", copied / "checkpoints" / "ckpt-20"):
        with pytest.raises(InputError, match=r"--init_checkpoint=.*copy \[1\].*: TensorFlow cannot read checkpoints"):
            checkpoint_prefix(str(path))
    untrained = shutil.copytree(model_directory[0], tmp_path / "untrained")
    shutil.rmtree(untrained / "checkpoints")
    os.mkdir(untrained / "checkpoints")
    with pytest.raises(InputError, match="contains no complete checkpoint"):
        load_model_directory(str(untrained))


def test_a_run_does_not_resume_with_another_configuration(model_directory):
    directory = str(model_directory[0])
    prepare_model_directory(directory, small_config(), english_tokenizer())
    with pytest.raises(InputError, match="contains a run with hidden_size 16, not 32"):
        prepare_model_directory(directory, small_config(hidden_size=32), english_tokenizer())


def test_names_in_the_checkpoint_are_the_variables_paths(model_directory):
    names = {name for name, _ in tf.train.list_variables(str(model_directory[0] / "checkpoints" / "ckpt-20"))}
    kernel = "model/backbone.Sencoder.Slayer_0.Sattention.Squery.Skernel/.ATTRIBUTES/VARIABLE_VALUE"
    assert kernel in names


def test_a_remote_model_directory_is_written_and_read():
    directory = "ram://bucket/run"
    prepare_model_directory(directory, small_config(), english_tokenizer())
    prepare_model_directory(directory, small_config(), english_tokenizer())
    model, step = pretraining_model(seed=1), tf.Variable(7)
    Checkpoints(directory, model, {"state": {"step": step}}).save(7)
    step.assign(0)
    tf.io.gfile.remove(f"{directory}/checkpoints/checkpoint")
    assert (
        Checkpoints(directory, model, {"state": {"step": step}}).restore_latest() == f"{directory}/checkpoints/ckpt-7"
    )
    assert int(step) == 7
    loaded = load_model_directory(directory)
    assert (loaded.config, loaded.tokenizer_directory) == (small_config(), f"{directory}/tokenizer")
    fresh = pretraining_model(seed=2)
    restore_variables(fresh.variables, loaded.checkpoint)
    np.testing.assert_array_equal(weights(fresh)["backbone/pooler/kernel"], weights(model)["backbone/pooler/kernel"])
    with pytest.raises(InputError, match="contains a run with hidden_size 16, not 32"):
        prepare_model_directory(directory, small_config(hidden_size=32), english_tokenizer())
