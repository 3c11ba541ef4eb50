"""The KerasHub classes from the perspective of a Keras user: raw texts, presets, `fit`, errors."""

import json
import os
import pathlib
import subprocess
import sys
import types
import unittest.mock

import huggingface_hub
import kagglehub
import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

import ambert_tf
from ambert_tf.models.bert_optimizer import BertAdamW, BertLearningRate
from tests.tokenizers import chinese_tokenizer

TEXTS = ["南京市长江大桥", "中国人民的生活", "商店里的乒乓球拍卖完了", "好"]
LABELS = [0, 1, 1, 0]
# The types of input that Keras accepts.
FORMS = {
    "list": lambda: (TEXTS, LABELS),
    "array": lambda: (np.array(TEXTS), np.array(LABELS)),
    "tensor": lambda: (tf.constant(TEXTS), tf.constant(LABELS)),
    "dataset": lambda: (tf.data.Dataset.from_tensor_slices((TEXTS, LABELS)).batch(2), None),
}


@pytest.fixture(scope="module")
def tokenizer():
    return ambert_tf.AmbertTokenizer(chinese_tokenizer())


def backbone(tokenizer, model_type="ambert", **changes):
    return ambert_tf.AmbertBackbone(
        tokenizer.vocabulary_size(), tokenizer.vocabulary_size(grain="coarse"), model_type,
        num_layers=1, num_heads=2, hidden_dim=16, intermediate_dim=24, max_sequence_length=20, **changes,
    )  # fmt: skip


def classifier(tokenizer, num_classes=2, **changes):
    preprocessor = ambert_tf.AmbertTextClassifierPreprocessor(tokenizer, 16)
    return ambert_tf.AmbertTextClassifier(backbone(tokenizer), num_classes, preprocessor, **changes)


@pytest.fixture(scope="module")
def preset(tokenizer, tmp_path_factory):
    """A saved classifier and its predictions."""
    directory = str(tmp_path_factory.mktemp("preset"))
    model = classifier(tokenizer, labels=("bad", "good"))
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
        assert type(models.MaskedLM.from_preset(directory)) is kinds.AmbertMaskedLM
        model = models.TextClassifier.from_preset(directory)
        assert type(model) is kinds.AmbertTextClassifier
        assert (model.labels, model.preprocessor.sequence_length) == (("bad", "good"), 16)
        np.testing.assert_array_equal(model.predict(TEXTS, verbose=0), expected)

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

    def test_keras_files(self, preset, tokenizer, tmp_path):
        model = keras_hub.models.TextClassifier.from_preset(preset[0])
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(loaded.predict(TEXTS, verbose=0), preset[1])
        assert isinstance(loaded.optimizer, BertAdamW)

    @pytest.mark.parametrize("handle", ["hf://user/model", "kaggle://user/model/keras/small", "modelscope://user/model"])
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


@pytest.fixture(scope="module")
def trained(tokenizer):
    """A classifier trained by `fit`, its history, and its logits by head."""
    keras.utils.set_random_seed(1)
    model = classifier(tokenizer, agreement_weight=2.0)
    model.compile(keras.optimizers.Adam(1e-2))
    with unittest.mock.patch.object(model, "train_step", wraps=model.train_step) as train_step:
        history = model.fit(
            TEXTS * 20, LABELS * 20, batch_size=4, epochs=2, validation_data=(TEXTS, LABELS), verbose=0
        ).history
    assert train_step.call_count == 1  # traced once
    return model, history, {name: values.numpy() for name, values in model(model.preprocessor(TEXTS)).items()}


class TestTextClassifier:
    def test_fit_learns(self, trained):
        _model, history, _ = trained
        assert set(history) == {
            "loss", "sparse_categorical_accuracy", "val_loss", "val_sparse_categorical_accuracy"
        }  # fmt: skip
        assert history["val_sparse_categorical_accuracy"][-1] == 1.0
        assert history["loss"][1] < 0.8 * history["loss"][0]

    @pytest.mark.parametrize("form", FORMS)
    def test_inputs_in_the_forms_that_keras_takes(self, trained, form):
        model, _, logits = trained
        x, _ = FORMS[form]()
        np.testing.assert_allclose(model.predict(x, verbose=0), logits["joint"], atol=1e-5)

    def test_the_loss_is_equation_2(self, trained):
        _, history, logits = trained
        probabilities = {name: np.exp(values) / np.exp(values).sum(1, keepdims=True) for name, values in logits.items()}
        expected = sum(-np.log(p[np.arange(4), LABELS]).mean() for p in probabilities.values())
        expected += 2.0 * np.linalg.norm(probabilities["fine"] - probabilities["coarse"], axis=1).mean()
        np.testing.assert_allclose(history["val_loss"][-1], expected, rtol=1e-4)

    def test_sample_weights_count_as_in_keras(self, trained):
        model, _, logits = trained
        loss = model.training_loss({}, np.array(LABELS), logits, np.array([1.0, 0.0, 0.0, 0.0]))
        alone = model.training_loss({}, np.array(LABELS[:1]), {name: z[:1] for name, z in logits.items()}, None)
        np.testing.assert_allclose(loss, alone / 4, rtol=1e-5)  # Keras divides by the batch size

    def test_inference_on_one_grain_is_ambert_single(self, trained, tokenizer):
        model, _, logits = trained
        inputs = model.preprocessor(TEXTS)
        model.inference = "fine"
        assert set(model(inputs)) == {"fine"}
        np.testing.assert_allclose(model.prediction({}, model(inputs)), logits["fine"], atol=1e-5)
        # Keras keeps the graph of `predict`, in which the head is fixed.
        np.testing.assert_allclose(model.predict(TEXTS, verbose=0), logits["fine"], atol=1e-5)
        model.inference = "joint"
        np.testing.assert_allclose(model.predict(TEXTS, verbose=0), logits["joint"], atol=1e-5)
        with pytest.raises(ValueError, match="`inference` must be one of"):
            classifier(tokenizer, inference="both")
        with pytest.raises(ValueError, match="`inference` must be one of"):
            model.inference = "both"

    def test_splits_that_leave_nothing_are_refused(self, trained):
        model, _, _ = trained
        for split, count in ((1.5, 4), (0.9, 1), (0.1, 1)):
            with pytest.raises(ValueError, match=f"Received: validation_split={split} with {count} examples"):
                model.fit(TEXTS[:count], LABELS[:count], validation_split=split)
        dataset = tf.data.Dataset.from_tensor_slices((TEXTS, LABELS)).batch(2)
        with pytest.raises(ValueError, match="`validation_split` is only supported for lists, arrays and tensors"):
            model.fit(dataset, validation_split=0.5)

    def test_regression(self, tokenizer):
        model = classifier(tokenizer, num_classes=1, score_range=(0.0, 5.0))
        scores = {name: values.numpy() for name, values in model(model.preprocessor(TEXTS)).items()}
        expected = sum(np.mean((scores[name][:, 0] - 1.0) ** 2) for name in ("fine", "coarse", "joint"))
        expected += np.abs(scores["fine"] - scores["coarse"]).mean()
        np.testing.assert_allclose(model.training_loss({}, np.ones(4), scores, None), expected, rtol=1e-5)
        assert model.prediction({}, {"joint": tf.constant([[-1.0], [6.0]])}).numpy().tolist() == [[0.0], [5.0]]

    def test_pairs(self, tokenizer):
        preprocessor = ambert_tf.AmbertTextClassifierPreprocessor(tokenizer, 16, pair=True)
        x, y = preprocessor((TEXTS, TEXTS[::-1]), LABELS)
        assert x["fine_segment_ids"].numpy().max() == 1
        assert y.numpy().tolist() == LABELS
        with pytest.raises(ValueError, match=r"takes a tuple \(text, text_pair\).*Received: 1 input"):
            preprocessor(TEXTS)

    def test_float16(self, tokenizer):
        preprocessor = ambert_tf.AmbertTextClassifierPreprocessor(tokenizer, 16)
        model = ambert_tf.AmbertTextClassifier(backbone(tokenizer, dtype="mixed_float16"), 2, preprocessor)
        model.compile(run_eagerly=True)
        assert np.isfinite(model.fit(TEXTS, LABELS, verbose=0).history["loss"][0])

    def test_replicas_and_xla_train_to_the_same_losses(self, tokenizer):
        losses = []
        devices = [device.name for device in tf.config.list_logical_devices("CPU")[:2]]
        one, two = tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(devices)
        for strategy, jit_compile in ((one, False), (two, False), (one, True)):
            with strategy.scope():
                model = ambert_tf.AmbertTextClassifier(
                    backbone(tokenizer, "bert_fine", static_shapes=True, dropout=0.0, attention_dropout=0.0), 2,
                    ambert_tf.AmbertTextClassifierPreprocessor(tokenizer, 16, static_shapes=True), compile=False,
                )  # fmt: skip
                model.compile(BertAdamW(BertLearningRate(1e-2)), jit_compile=jit_compile)
            # With steps_per_epoch, the epochs share an iterator, which takes a second to create.
            dataset = tf.data.Dataset.from_tensor_slices((TEXTS, LABELS)).batch(4).repeat()
            losses.append(model.fit(dataset, steps_per_epoch=1, epochs=3, verbose=0).history["loss"])
        np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
        np.testing.assert_allclose(losses[0], losses[2], rtol=1e-4)
        assert losses[0][2] != losses[0][0]

    def test_xla_is_for_static_shapes(self, tokenizer):
        assert not classifier(tokenizer).jit_compile
        assert ambert_tf.AmbertTextClassifier(backbone(tokenizer, static_shapes=True), 2).jit_compile
        with pytest.raises(ValueError, match="`jit_compile=True` needs static shapes"):
            classifier(tokenizer, compile=False).compile(jit_compile=True)
        spans = ambert_tf.AmbertSpanExtractor(backbone(tokenizer, static_shapes=True))
        assert not spans.jit_compile
        with pytest.raises(ValueError, match="needs static shapes, but the number of windows differs"):
            spans.compile(jit_compile=True)

    def test_lora_updates_queries_and_values(self, tokenizer):
        model = classifier(tokenizer)
        inputs = model.preprocessor(TEXTS)
        expected = model(inputs)["joint"]
        model.backbone.enable_lora(2)
        np.testing.assert_allclose(model(inputs)["joint"], expected, atol=1e-6)  # updates start at zero
        names = sorted(variable.name for variable in model.backbone.trainable_weights)
        assert names == ["lora_kernel_a", "lora_kernel_a", "lora_kernel_b", "lora_kernel_b"]
        for variable in model.backbone.trainable_weights:
            if variable.name == "lora_kernel_b":
                variable.assign(10 * tf.ones_like(variable))
        assert not np.allclose(model(inputs)["joint"], expected, atol=1e-6)

    def test_int8_weights_are_close(self, trained):
        original, _, logits = trained
        model = ambert_tf.AmbertTextClassifier.from_config(original.get_config())
        model.set_weights(original.get_weights())
        model.backbone.quantize("int8")
        assert model.backbone.encoders["fine"].pooler.kernel.dtype == "int8"
        inputs = original.preprocessor(TEXTS)  # a configuration has no vocabularies
        np.testing.assert_allclose(model(inputs)["joint"], logits["joint"], atol=0.3)

    def test_wrong_inputs_are_named(self, trained, tokenizer):
        model = trained[0]
        with pytest.raises(ValueError, match=r"takes strings as `text`.*dtype int32"):
            model.predict([1, 2], verbose=0)
        with pytest.raises(ValueError, match=r"in range \[0, 1\].*`num_classes=2`.*Received: 0 to 4"):
            model.fit(TEXTS, [0, 1, 2, 4], verbose=0)
        with pytest.raises(ValueError, match="same batch dimension"):
            model.fit(TEXTS, [0], verbose=0)
        with pytest.raises(ValueError, match="batch dimension"):
            model.predict("好", verbose=0)
        with pytest.raises(ValueError, match="needs labels `y`"):
            model.compute_loss({}, None, {})
        with pytest.raises(ValueError, match="`num_classes` must be a positive integer"):
            classifier(tokenizer, num_classes=0)
        model = classifier(tokenizer, num_classes=np.max(LABELS) + 1)
        assert json.dumps(model.get_config()["num_classes"]) == "2"
        model.compile(weighted_metrics="auto")
        with pytest.raises(ValueError, match=r"of shape \(batch,\), not one-hot. Received: shape \(4, 2\)"):
            model.fit(TEXTS, np.eye(2, dtype=int)[LABELS])
        with pytest.raises(ValueError, match="`sequence_length` must be at least 8"):
            ambert_tf.AmbertTextClassifierPreprocessor(tokenizer, 4)
        sizes = ambert_tf.AmbertBackbone(np.int64(20), 20, num_layers=np.int32(1), hidden_dim=12, intermediate_dim=8)
        assert json.loads(json.dumps(sizes.get_config()))["vocabulary_size"] == 20
        with pytest.raises(ValueError, match="vocab_size is 0"):
            ambert_tf.AmbertBackbone(0, 9)


class TestMaskedLM:
    def test_grains_are_masked_together(self, tokenizer):
        keras.utils.set_random_seed(1)
        x, y, weights = ambert_tf.AmbertMaskedLMPreprocessor(tokenizer, 16, mask_selection_rate=0.5)(TEXTS)
        original = ambert_tf.AmbertTextClassifierPreprocessor(tokenizer, 16)(TEXTS)
        for grain in ("fine", "coarse"):
            positions = x[f"{grain}_masked_lm_positions"].numpy()
            real = weights[grain].numpy() > 0
            expected = np.take_along_axis(original[f"{grain}_input_ids"].numpy(), positions, axis=1)
            np.testing.assert_array_equal(y[grain].numpy()[real], expected[real])
        # Half of 2, 4, 7 and 1 coarse tokens, rounded, at least one.
        assert [len(ids) for ids in tokenizer(TEXTS)["coarse_ids"]] == [2, 4, 7, 1]
        assert weights["coarse"].numpy().sum(1).tolist() == [1, 2, 4, 1]

    def test_fit_and_predict(self, tokenizer):
        model = ambert_tf.AmbertMaskedLM(
            backbone(tokenizer), preprocessor=ambert_tf.AmbertMaskedLMPreprocessor(tokenizer, 16)
        )
        history = model.fit(TEXTS, epochs=2, verbose=0).history
        assert {"loss", "fine_accuracy", "coarse_accuracy"} <= set(history)
        # The expected loss of two random heads is the sum of the logarithms of the vocabulary sizes.
        sizes = [tokenizer.vocabulary_size(grain) for grain in ("fine", "coarse")]
        np.testing.assert_allclose(history["loss"][0], np.log(sizes).sum(), rtol=0.05)
        model.compile(run_eagerly=True)
        np.testing.assert_allclose(model.train_on_batch(TEXTS)[0], np.log(sizes).sum(), rtol=0.05)
        predicted = model.predict(TEXTS, verbose=0)
        assert [predicted[grain].shape[::2] for grain in ("fine", "coarse")] == [(4, size) for size in sizes]


def test_multiple_choice(tokenizer, tmp_path):
    model = ambert_tf.AmbertMultipleChoice(
        backbone(tokenizer), ambert_tf.AmbertMultipleChoicePreprocessor(tokenizer, 16)
    )
    x = {"context": TEXTS[:2], "question": ["长江", "中国"], "choices": [["好", "大桥", "南京"], ["人民", "的"]]}
    logits = model.predict(x, verbose=0)
    assert logits.shape == (2, 3)
    assert logits[1, 2] < -1e8  # there is no third choice
    model.save_to_preset(str(tmp_path))
    again = ambert_tf.AmbertMultipleChoice.from_preset(str(tmp_path))
    np.testing.assert_array_equal(again.predict(x, verbose=0), logits)


def test_span_extraction(tokenizer, tmp_path):
    preprocessor = ambert_tf.AmbertSpanExtractorPreprocessor(tokenizer, 16, doc_stride=4)
    model = ambert_tf.AmbertSpanExtractor(
        backbone(tokenizer, dropout=0.0, attention_dropout=0.0), preprocessor, max_answer_length=4
    )
    model.compile(keras.optimizers.Adam(1e-2))
    questions, contexts = ["长江", "商店"], ["南京市长江大桥", "商店里的乒乓球拍卖完了"]
    starts = [len("南京市".encode()), len("商店里的".encode())]
    ends = [len("南京市长江".encode()), len("商店里的乒乓球".encode())]
    # One long epoch, because each epoch takes a second to create an iterator over the preprocessed texts.
    model.fit((questions * 40, contexts * 40), (starts * 40, ends * 40), batch_size=2, verbose=0)
    expected = preprocessor((questions, contexts), (starts, ends))[1]
    expected = {name: value.numpy().tolist() for name, value in expected.items()}
    for y in ({"start": starts, "end": ends}, np.transpose([starts, ends])):
        found = preprocessor((questions, contexts), y)[1]
        assert {name: value.numpy().tolist() for name, value in found.items()} == expected
    for y, received in (([starts, ends], "a list"), (np.array([starts * 2, ends * 2]), r"a ndarray of shape \(2, 4\)")):
        for function in (preprocessor, model.evaluate):
            with pytest.raises(ValueError, match=f"`y` must be a tuple .*Received: {received}"):
                function((questions, contexts), y)
    found = model.predict((questions, contexts))
    assert [answer.decode() for answer in found["answer"]] == ["长江", "乒乓球"]
    assert found["start"].tolist() == starts
    assert [len(column) for column in model.predict(([], [])).values()] == [0, 0, 0, 0]
    # Single batches take the same data.
    np.testing.assert_array_equal(model.predict_on_batch((questions, contexts))["answer"], found["answer"])
    loss = model.evaluate((questions, contexts), (starts, ends), verbose=0, return_dict=True)
    on_batch = model.test_on_batch((questions, contexts), (starts, ends), return_dict=True)
    assert on_batch == pytest.approx(loss, rel=1e-4)
    model.save_to_preset(str(tmp_path))
    again = ambert_tf.AmbertSpanExtractor.from_preset(str(tmp_path)).predict((questions, contexts))
    np.testing.assert_array_equal(found["score"], again["score"])


def test_sequence_labelling(tokenizer, tmp_path):
    texts = ["南京市长江大桥", "好的中国人民的生活", "商店"]
    places = [[(0, 9, "LOC"), (9, 21, "THING")], [(6, 12, "LOC")], []]
    tags = {"labels": ("LOC", "THING"), "scheme": "BIOES"}
    preprocessor = ambert_tf.AmbertTokenClassifierPreprocessor(tokenizer, sequence_length=8, **tags)
    model = ambert_tf.AmbertTokenClassifier(backbone(tokenizer), preprocessor=preprocessor, **tags)
    model.compile(optimizer=keras.optimizers.Adam(0.02))
    # One epoch, because each one sets up its input pipeline.
    model.fit(texts * 30, places * 30, batch_size=3, verbose=0)
    found = model.predict(texts)
    # The second text is longer than a window. Offsets are bytes.
    assert [[(one["start"], one["end"], one["label"]) for one in row] for row in found] == places
    assert [one["text"] for one in found[0]] == ["南京市", "长江大桥"]
    model.save_to_preset(str(tmp_path))
    assert ambert_tf.AmbertTokenClassifier.from_preset(str(tmp_path)).predict(texts) == found
    # Other tags get a new head, even if there are as many.
    old = model.heads.heads.heads["joint"].kernel
    for changes in ({"labels": ("LOC", "PER")}, {"crf": True}, {"scheme": "BIO"}):
        other = ambert_tf.AmbertTokenClassifier.from_preset(str(tmp_path), **changes)
        assert {name: other.get_config()[name] for name in changes} == changes
        kernel = other.heads.heads.heads["joint"].kernel
        assert kernel.shape != old.shape or not np.allclose(kernel, old, atol=1e-3)
        table = other.backbone.token_table("fine")
        np.testing.assert_array_equal(table, model.backbone.token_table("fine"))
    same = ambert_tf.AmbertTokenClassifier.from_preset(str(tmp_path), labels=["LOC", "THING"], crf=False)
    np.testing.assert_array_equal(same.heads.heads.heads["joint"].kernel, old)
    dataset = tf.data.Dataset.from_tensor_slices(texts).batch(1).repeat()
    assert model.predict(dataset, steps=2) == found[:2]
    with pytest.raises(TypeError, match="callbacks"):
        model.predict(texts, callbacks=[])
    # A new task on a backbone.
    model.backbone.save_to_preset(str(tmp_path / "backbone"))
    tokenizer.save_to_preset(str(tmp_path / "backbone"))
    other = ambert_tf.AmbertTokenClassifier.from_preset(str(tmp_path / "backbone"), labels=("PER",), scheme="BMES")
    assert (other.tag_set.tags[:2], other.preprocessor.task.tag_set) == (("O", "B-PER"), other.tag_set)
    with pytest.raises(ValueError, match=r"Labels must be among \('LOC', 'THING'\). Received: 'PER'"):
        model.fit(texts[:1], [[(0, 3, "PER")]])
    with pytest.raises(ValueError, match=r"A span must be .* not empty. Received: \(9, 3, 'LOC'\)"):
        model.fit(texts[:1], [[(9, 3, "LOC")]])
    with pytest.raises(ValueError, match="A token classifier has no `class_weight`"):
        model.fit(texts[:1], places[:1], class_weight={0: 1.0})
    # Single batches take the same data.
    assert model.predict_on_batch(texts) == found
    model.compile(run_eagerly=True)
    before = model.heads.heads.heads["joint"].kernel.numpy()
    model.train_on_batch(texts, places)
    assert np.abs(model.heads.heads.heads["joint"].kernel.numpy() - before).max() > 1e-5
    expected = model.evaluate(texts, places, verbose=0, return_dict=True)["loss"]
    assert model.test_on_batch(texts, places, return_dict=True)["loss"] == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ValueError, match="The spans of a text must not overlap"):
        model.fit(texts[:1], [[(0, 9, "LOC"), (6, 12, "LOC")]])
    with pytest.raises(ValueError, match="`preprocessor` must have the same"):
        ambert_tf.AmbertTokenClassifier(backbone(tokenizer), ("LOC",), preprocessor)
