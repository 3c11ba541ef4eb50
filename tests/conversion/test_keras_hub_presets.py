import json
import os
import shutil

import h5py
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

import ambert_tf
from ambert_tf.conversion.conversion_settings import ConversionSettings
from ambert_tf.conversion.convert import convert_checkpoint
from ambert_tf.conversion.initial import restore_initial
from ambert_tf.conversion.keras_hub_presets import read_keras_hub_bert
from ambert_tf.errors import InputError
from ambert_tf.models.task_config import TaskConfig
from ambert_tf.training.checkpoints import Checkpoints, load_model_directory, prepare_model_directory
from ambert_tf.training.loaded_model import load_model
from tests.serving.models import TASKS, config_of, export, model_directory
from tests.small_models import masked_lm, small_config
from tests.tokenizers import chinese_tokenizer

TEXTS = ["南京市长江大桥", "中国人民的生活", "商店里的乒乓球拍卖完了"]


def convert(from_format, to_format, source, output, **flags):
    convert_checkpoint(
        ConversionSettings(from_format=from_format, to_format=to_format, input=str(source), output=str(output), **flags)
    )
    return str(output)


def weights(model_dir):
    return {variable.path: np.asarray(variable) for variable in load_model(model_dir).model.weights}


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """A preset of KerasHub's BERT, and the model."""
    directory = str(tmp_path_factory.mktemp("bert"))
    vocab = chinese_tokenizer().fine_vocab
    model = keras_hub.models.BertBackbone(len(vocab), 2, 2, 16, 24, max_sequence_length=24)
    random = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(random.normal(size=variable.shape).astype(np.float32) * 0.3)
    model.save_to_preset(directory)
    keras_hub.models.BertTokenizer(vocab, lowercase=True).save_to_preset(directory)
    return directory, model


def test_embeddings_beyond_the_vocabulary_get_unused_names(bert, tmp_path):
    """As in checkpoints of other formats; a table may be padded to a round size."""
    directory = str(tmp_path)
    vocab = chinese_tokenizer().fine_vocab
    keras_hub.models.BertBackbone(len(vocab) + 3, 1, 1, 8, 8, max_sequence_length=8).save_to_preset(directory)
    keras_hub.models.BertTokenizer(vocab, lowercase=True).save_to_preset(directory)
    found = read_keras_hub_bert(directory)
    assert found.unused_rows == 3
    assert len(found.vocab) == found.config.vocab_size == len(vocab) + 3


def test_a_classifier_predicts_the_same(tmp_path):
    model_dir = model_directory("sentence")
    preset = convert("ambert", "keras_hub", model_dir, tmp_path / "preset")
    classifier = keras_hub.models.TextClassifier.from_preset(preset, activation="softmax")
    assert isinstance(classifier, ambert_tf.AmbertTextClassifier)
    expected = [list(each["probabilities"].values()) for each in ambert_tf.load(model_dir).predict(TEXTS)]
    np.testing.assert_allclose(classifier.predict(TEXTS, verbose=0), expected, atol=1e-5)


@pytest.mark.parametrize("form", TASKS)
def test_round_trip_changes_nothing(form, tmp_path):
    model_dir = model_directory(form)
    preset = convert("ambert", "keras_hub", model_dir, tmp_path / "preset")
    back = convert("keras_hub", "ambert", preset, tmp_path / "model")
    found, expected = weights(back), weights(model_dir)
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        np.testing.assert_array_equal(found[path], value, path)
    assert TaskConfig.read(back) == TaskConfig.read(model_dir)
    assert load_model_directory(back).config == load_model_directory(model_dir).config


def test_a_model_trained_by_fit_can_be_exported(tmp_path):
    tokenizer = ambert_tf.AmbertTokenizer(chinese_tokenizer())
    backbone = ambert_tf.AmbertBackbone.from_model_config(config_of())
    preprocessor = ambert_tf.AmbertTextClassifierPreprocessor(tokenizer, 16)
    model = ambert_tf.AmbertTextClassifier(backbone, 2, preprocessor, activation="softmax", labels=("no", "yes"))
    model.fit(TEXTS, [0, 1, 1], verbose=0)
    model.save_to_preset(str(tmp_path / "preset"))
    with pytest.raises(InputError, match="a KerasHub preset, not a model directory; convert it"):
        export(tmp_path / "preset", tmp_path / "export")
    export(convert("keras_hub", "ambert", tmp_path / "preset", tmp_path / "model"), tmp_path / "export")
    served = tf.saved_model.load(str(tmp_path / "export")).signatures["serving_default"](text=tf.constant(TEXTS))
    np.testing.assert_allclose(served["probabilities"], model.predict(TEXTS, verbose=0), atol=1e-5)
    assert set(served["label"].numpy()) <= {b"no", b"yes"}


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A pre-trained model, its model directory, and its preset."""
    directory = tmp_path_factory.mktemp("pretrained")
    model_dir, config = str(directory / "model"), config_of()
    prepare_model_directory(model_dir, config, chinese_tokenizer())
    model = masked_lm(config, next_sentence=True, seed=4)
    model.masked_lm_heads["fine"].output_biases["fine"].assign(np.arange(config.vocab_size))
    Checkpoints(model_dir, model, {}).save(0)
    return model, model_dir, convert("ambert", "keras_hub", model_dir, directory / "preset")


def test_a_pretrained_model_keeps_its_heads(pretrained):
    model, _, preset = pretrained
    found = {variable.path: variable for variable in keras_hub.models.MaskedLM.from_preset(preset).weights}
    for variable in model.weights:
        np.testing.assert_array_equal(found[variable.path], variable, variable.path)


def test_half_precision_is_stored_in_float16_and_loaded_in_float32(pretrained, tmp_path):
    _, model_dir, preset = pretrained
    half = convert("ambert", "keras_hub", model_dir, tmp_path / "half", half_precision=True)
    dtypes = set()
    with h5py.File(os.path.join(half, "model.weights.h5")) as file:
        file.visititems(lambda _, part: dtypes.add(part.dtype) if isinstance(part, h5py.Dataset) else None)
    assert dtypes == {np.dtype("float16")}
    for found, expected in zip(
        keras_hub.models.MaskedLM.from_preset(half).weights, keras_hub.models.MaskedLM.from_preset(preset).weights,
        strict=True,
    ):  # fmt: skip
        assert found.dtype == "float32"
        np.testing.assert_allclose(found, expected, rtol=2**-10, atol=1e-7)


class TestPresetAsModelDirectory:
    def test_has_the_same_parts(self, pretrained):
        _, model_dir, preset = pretrained
        found, expected = load_model_directory(preset), load_model_directory(model_dir)
        assert found.config == expected.config
        loaded = load_model(preset)
        assert loaded.tokenizer.fingerprint == load_model(model_dir).tokenizer.fingerprint
        copied = weights(preset)
        for path, value in weights(model_dir).items():
            np.testing.assert_array_equal(copied[path], value, path)

    def test_encodes_texts(self, pretrained):
        _, model_dir, preset = pretrained
        for found, expected in zip(
            ambert_tf.load(preset).encode(TEXTS)["coarse"],
            ambert_tf.load(model_dir).encode(TEXTS)["coarse"],
            strict=True,
        ):
            np.testing.assert_allclose(found.sequence, expected.sequence, atol=1e-6)

    def test_initializes_the_pretraining_heads(self, pretrained):
        model, _, preset = pretrained
        new = masked_lm(config_of(), next_sentence=True, seed=5)
        restore_initial(new, preset, chinese_tokenizer())
        for ours, theirs in zip(new.weights, model.weights, strict=True):
            np.testing.assert_array_equal(ours, theirs, ours.path)

    def test_of_another_size_names_the_variable(self, pretrained):
        _, _, preset = pretrained
        with pytest.raises(InputError, match=r"model.weights.h5: backbone/.* has shape"):
            restore_initial(masked_lm(small_config()), preset, chinese_tokenizer())

    def test_damaged_weights_are_named(self, pretrained, tmp_path):
        shutil.copytree(pretrained[2], tmp_path / "preset")
        (tmp_path / "preset" / "model.weights.h5").write_bytes(b"\x89HDF")
        with pytest.raises(InputError, match="preset: this preset cannot be read"):
            load_model(str(tmp_path / "preset"))


class TestKerasHubsBert:
    def test_as_bert_fine_has_the_same_hidden_states(self, bert, tmp_path):
        directory, theirs = bert
        model_dir = convert("keras_hub", "ambert", directory, tmp_path / "model")
        ours = load_model(model_dir).backbone
        assert ours.config.model_type == "bert_fine"
        ids = np.array([[2, 7, 9, 12, 3, 0], [2, 8, 3, 0, 0, 0]])
        expected = theirs({"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": (ids != 0).astype(int)})
        found = ours({"fine_input_ids": ids, "fine_segment_ids": 0 * ids})
        real = ids != 0
        np.testing.assert_allclose(
            found["fine_sequence_output"].numpy()[real], expected["sequence_output"].numpy()[real], atol=1e-5
        )
        np.testing.assert_allclose(found["fine_pooled_output"], expected["pooled_output"], atol=1e-5)

    def test_initializes_an_ambert(self, bert, tmp_path):
        directory, theirs = bert
        chinese_tokenizer().save(str(tmp_path / "tokenizer"))
        preset = convert(
            "keras_hub", "keras_hub", directory, tmp_path / "preset",
            model_type="ambert", tokenizer_dir=str(tmp_path / "tokenizer"),
        )  # fmt: skip
        backbone = keras_hub.models.Backbone.from_preset(preset)
        table = theirs.token_embedding.embeddings.numpy()
        np.testing.assert_array_equal(backbone.token_table("fine"), table)
        tokenizer = chinese_tokenizer()
        word, pieces = tokenizer.coarse_vocab.index("长江"), [tokenizer.fine_vocab.index(c) for c in "长江"]
        np.testing.assert_allclose(backbone.token_table("coarse")[word], table[pieces].mean(0), rtol=1e-6)

    def test_invalid_presets_are_named(self, tmp_path):
        with pytest.raises(InputError, match=r"--input=.*is not a preset of KerasHub's BertBackbone"):
            convert("keras_hub", "ambert", tmp_path, tmp_path / "model")

    def test_our_presets_convert_only_to_model_directories(self, tmp_path):
        preset = convert("ambert", "keras_hub", model_directory("sentence"), tmp_path / "preset")
        with open(os.path.join(preset, "config.json"), encoding="utf-8") as file:
            assert json.load(file)["registered_name"] == "ambert_tf>AmbertBackbone"
        with pytest.raises(InputError, match="ambert_tf>AmbertBackbone; first convert it to a model directory"):
            convert("keras_hub", "huggingface", preset, tmp_path / "hf")
