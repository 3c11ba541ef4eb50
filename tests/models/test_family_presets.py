"""The tokenizer and the presets of the KerasHub family, from files and hubs."""

import json
import os
import pathlib
import subprocess
import sys
import types
import warnings

import huggingface_hub
import kagglehub
import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

import ambert_tf
from ambert_tf.models.bert_optimizer import BertAdamW
from tests.models.family import TEXTS, backbone, classifier


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """A saved classifier and its predictions."""
    directory = str(tmp_path_factory.mktemp("preset"))
    model = classifier(labels=("bad", "good"))
    model.save_to_preset(directory)
    return directory, model.predict(TEXTS, verbose=0)


class TestTokenizer:
    def test_both_grains(self, tokenizer):
        ids = tokenizer(["南京市长江大桥", "好"])
        coarse = [[tokenizer.id_to_token(id, grain="coarse") for id in row] for row in ids["coarse_ids"]]
        assert coarse == [["南京市", "长江大桥"], ["好"]]
        assert len(ids["fine_ids"][0]) == 7
        assert tokenizer.detokenize(ids) == ["南京市长江大桥", "好"]
        assert tokenizer.detokenize(ids["coarse_ids"], grain="coarse") == ["南京市长江大桥", "好"]

    def test_one_string_and_nested_ones(self, tokenizer):
        assert tokenizer("南京")["fine_ids"].shape == (2,)
        assert [[len(ids) for ids in row] for row in tokenizer([["南京", "好"], ["的", "中国人"]])["fine_ids"]] == [
            [2, 1], [1, 3],
        ]  # fmt: skip

    def test_vocabularies(self, tokenizer):
        assert tokenizer.token_to_id("长江大桥", grain="coarse") == tokenizer.get_vocabulary("coarse").index("长江大桥")
        assert tokenizer.token_to_id("长江大桥") == tokenizer.unk_token_id
        with pytest.raises(ValueError, match="`id` must be in range"):
            tokenizer.id_to_token(10_000)
        with pytest.raises(ValueError, match='`grain` must be "fine" or "coarse"'):
            tokenizer.vocabulary_size(grain="middle")

    def test_a_tokenizer_without_a_vocabulary(self):
        with pytest.raises(ValueError, match="No vocabulary has been set for AmbertTokenizer"):
            ambert_tf.AmbertTokenizer()("好")


def serve_from(directory, monkeypatch):
    """Puts a local directory in the place of the hubs. KerasHub downloads, and probes for optional files."""

    def hf_hub_download(repo_id, filename):
        if not os.path.exists(path := os.path.join(directory, filename)):
            response = types.SimpleNamespace(headers={}, request=None, status_code=404)
            raise huggingface_hub.errors.EntryNotFoundError("no such file", response=response)
        return path

    def model_download(handle, path):
        if not os.path.exists(local := os.path.join(directory, path)):
            raise ValueError(f"{path} is not present in the model files.")
        return local

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hf_hub_download)
    monkeypatch.setattr(kagglehub, "model_download", model_download)
    modelscope = types.ModuleType("modelscope.hub.snapshot_download")
    modelscope.snapshot_download = lambda handle: directory
    for name in ("modelscope", "modelscope.hub"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, modelscope.__name__, modelscope)


class TestPresets:
    def test_base_classes_return_ours(self, preset):
        directory, expected = preset
        models, kinds = keras_hub.models, ambert_tf
        assert type(models.Backbone.from_preset(directory)) is kinds.AmbertBackbone
        assert type(models.Tokenizer.from_preset(directory)) is kinds.AmbertTokenizer
        masked_lm = models.MaskedLM.from_preset(directory)
        assert type(masked_lm) is kinds.AmbertMaskedLM
        assert masked_lm.preprocessor.sequence_length == 20  # the number of position embeddings, not 512
        model = models.TextClassifier.from_preset(directory)
        assert type(model) is kinds.AmbertTextClassifier
        assert (model.labels, model.preprocessor.sequence_length) == (("bad", "good"), 16)
        np.testing.assert_array_equal(model.predict(TEXTS, verbose=0), expected)

    def test_sequences_are_not_longer_than_the_position_embeddings(self, preset):
        kind = ambert_tf.AmbertTokenClassifierPreprocessor
        assert kind.from_preset(preset[0], labels=("LOC",)).sequence_length == 20
        tokenizer = ambert_tf.AmbertTokenizer.from_preset(preset[0])
        long = ambert_tf.AmbertTextClassifierPreprocessor(tokenizer, 21, coarse_sequence_length=20)
        with pytest.raises(ValueError, match=r"`max_sequence_length=20`\. Received: sequence_length=21"):
            ambert_tf.AmbertTextClassifier(backbone(), 2, long)
        with pytest.raises(ValueError, match=r"`max_sequence_length=20`\. Received: sequence_length=21"):
            ambert_tf.AmbertTextClassifier.from_preset(preset[0], preprocessor=long)
        # A BERT on the coarse grain reads no fine tokens.
        ambert_tf.AmbertTextClassifier(backbone("bert_coarse"), 2, long, compile=False)

    def test_another_number_of_classes_gets_a_new_head(self, preset):
        for kind in (keras_hub.models.TextClassifier, ambert_tf.AmbertTextClassifier):
            model = kind.from_preset(preset[0], num_classes=5)
            assert (model.labels, model(model.preprocessor(TEXTS))["joint"].shape) == (None, (4, 5))
        # Names of the old classes do not fit a new head, even if there are as many.
        assert ambert_tf.AmbertTextClassifier.from_preset(preset[0], num_classes=2).labels is None
        with pytest.raises(ValueError, match="`labels` must name `num_classes=5` classes"):
            ambert_tf.AmbertTextClassifier.from_preset(preset[0], num_classes=5, labels=["bad", "good"])
        with pytest.raises(ValueError, match="`labels` must name `num_classes=2` classes"):
            ambert_tf.AmbertTextClassifier.from_preset(preset[0], labels=["bad", "fair", "good"])

    def test_in_a_clean_process(self, preset, tmp_path):
        directory, expected = preset
        code = (
            "import ambert_tf, sys; assert 'tensorflow' not in sys.modules\n"
            "import keras_hub, numpy as np\n"
            "model = keras_hub.models.TextClassifier.from_preset(sys.argv[1])\n"
            f"np.save(sys.argv[2], model.predict({TEXTS!r}, verbose=0))\n"
        )
        environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
        command = [sys.executable, "-c", code, directory, str(tmp_path / "found.npy")]
        run = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=True)
        assert run.stderr == "" or tf.config.list_physical_devices("GPU")  # TensorFlow starts silently without a GPU
        np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), expected)

    def test_keras_files(self, preset, tmp_path):
        model = keras_hub.models.TextClassifier.from_preset(preset[0])
        model.save(tmp_path / "model.keras")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            loaded = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(loaded.predict(TEXTS, verbose=0), preset[1])
        assert isinstance(loaded.optimizer, BertAdamW) and not loaded.optimizer.built

    @pytest.mark.parametrize(
        "handle", ["hf://user/model", "kaggle://user/model/keras/small", "modelscope://user/model"]
    )
    def test_hub_handles(self, preset, monkeypatch, handle):
        serve_from(preset[0], monkeypatch)
        model = keras_hub.models.TextClassifier.from_preset(handle)
        assert type(model) is ambert_tf.AmbertTextClassifier
        assert model.preprocessor.tokenizer("南京")["fine_ids"].shape == (2,)
        local = keras_hub.models.TextClassifier.from_preset(preset[0])
        for found, expected in zip(model.weights, local.weights, strict=True):
            np.testing.assert_array_equal(found, expected)

    def test_uploads_are_accepted(self, preset, monkeypatch):
        uploaded = {}

        def upload(repo_id, folder_path):
            files = sorted(os.listdir(folder_path))
            card = pathlib.Path(folder_path, "README.md")
            uploaded[repo_id] = (files, card.is_file() and "`Ambert` model" in card.read_text(encoding="utf-8"))

        monkeypatch.setattr(kagglehub, "model_upload", upload)
        monkeypatch.setattr(huggingface_hub, "create_repo", lambda repo_id, exist_ok: huggingface_hub.RepoUrl(repo_id))
        monkeypatch.setattr(huggingface_hub, "file_exists", lambda repo_id, filename: False)
        monkeypatch.setattr(huggingface_hub, "upload_folder", upload)
        keras_hub.upload_preset("kaggle://user/model/keras/small", preset[0])
        keras_hub.upload_preset("hf://user/model", preset[0])
        files = [
            "assets", "config.json", "metadata.json", "model.weights.h5", "preprocessor.json", "task.json",
            "task.weights.h5", "tokenizer.json",
        ]  # fmt: skip
        assert uploaded == {
            "user/model/keras/small": (files, False),
            "user/model": (["README.md", *files], True),  # the card is KerasHub's
        }

    def test_a_model_directory_is_named(self, tmp_path):
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "ambert", "vocab_size": 9}))
        for kind in (ambert_tf.AmbertBackbone, ambert_tf.AmbertTextClassifier, ambert_tf.AmbertTokenizer):
            with pytest.raises(ValueError, match=r"this is a model directory.*--to_format=keras_hub"):
                kind.from_preset(str(tmp_path))

    def test_other_families_are_refused(self, preset, tmp_path):
        bert = keras_hub.models.BertBackbone(20, 1, 1, 8, 8, max_sequence_length=8)
        bert.save_to_preset(str(tmp_path))
        with pytest.raises(ValueError, match="BertBackbone"):
            ambert_tf.AmbertBackbone.from_preset(str(tmp_path))
        with pytest.raises(ValueError, match="BertBackbone"):
            ambert_tf.AmbertTextClassifier.from_preset(str(tmp_path), num_classes=2)
        with pytest.raises(ValueError, match="AmbertBackbone"):
            keras_hub.models.BertTextClassifier.from_preset(preset[0])
