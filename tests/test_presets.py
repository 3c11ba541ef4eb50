"""The pre-trained models in the package."""

import os

import h5py
import keras_hub
import numpy as np
import pytest

import ambert_tf
from ambert_tf.conversion.initial import restore_initial
from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_masked_lm import AmbertMaskedLM
from ambert_tf.presets import built_in_presets, preset_path
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.checkpoints import load_model_directory

NAME = "ambert_tiny_zh"
MEGABYTE = 1e6


@pytest.fixture(scope="module")
def model():
    return ambert_tf.load(NAME)


def test_the_model_is_small_and_has_a_card():
    path = built_in_presets()[NAME]
    files = [os.path.join(directory, name) for directory, _, names in os.walk(path) for name in names]
    assert sum(map(os.path.getsize, files)) < 15 * MEGABYTE
    with h5py.File(os.path.join(path, "model.weights.h5")) as weights:
        dtypes = set()
        weights.visititems(lambda _, part: dtypes.add(part.dtype) if isinstance(part, h5py.Dataset) else None)
    assert dtypes == {np.dtype("float16")}
    with open(os.path.join(path, "README.md"), encoding="utf-8") as file:
        card = file.read()
    for word in ("CC BY-SA 4.0", "snownlp", "limits", "from_preset"):
        assert word.lower() in card.lower()


def test_a_directory_of_that_name_comes_first(tmp_path, monkeypatch):
    assert preset_path(NAME) == built_in_presets()[NAME]
    assert preset_path("pretrained") == "pretrained"
    monkeypatch.chdir(tmp_path)
    (tmp_path / NAME).mkdir()
    assert preset_path(NAME) == NAME


def test_fills_masks_of_both_grains(model):
    [[found]] = model.fill_mask(["房间很[MASK]净，服务员也很热情。"])
    assert found.coarse[0].token == "干净"
    assert "干" in [fill.token for fill in found.fine[0]]


def test_similar_texts_have_similar_vectors(model):
    texts = ["这家酒店的房间很干净", "宾馆的环境不错，很舒服", "国务院总理会见了外国代表团"]
    means = [encoding.sequence.mean(axis=0) for encoding in model.encode(texts)["coarse"]]
    cosines = np.corrcoef(means)
    assert cosines[0, 1] > cosines[0, 2]


def test_starts_pretraining_and_fine_tuning_of_the_command_line(model):
    directory, tokenizer = load_model_directory(NAME), MultiGrainedTokenizer.load(NAME)
    assert directory.config == model.facts.config
    assert tokenizer.fine_vocab_size == directory.config.vocab_size
    started = AmbertMaskedLM(AmbertBackbone.from_model_config(directory.config), compile=False)
    restore_initial(started, NAME, tokenizer)
    preset = keras_hub.models.MaskedLM.from_preset(NAME)
    expected = {variable.path: variable for variable in preset.weights}
    for variable in started.weights:
        np.testing.assert_array_equal(variable, expected[variable.path], variable.path)


def test_keras_hub_lists_and_loads_it():
    assert NAME in keras_hub.models.Backbone.presets
    assert NAME in ambert_tf.AmbertTextClassifier.presets
    classifier = keras_hub.models.TextClassifier.from_preset(NAME, num_classes=2)
    assert classifier.predict(["服务很好"], verbose=0).shape == (1, 2)
    assert classifier.backbone.config.classifier_pooling == "mean"
