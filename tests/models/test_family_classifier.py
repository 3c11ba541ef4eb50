"""`AmbertTextClassifier` from the perspective of a Keras user: `fit` and `predict` on raw texts, errors."""

import json
import unittest.mock

import keras
import numpy as np
import pytest
import tensorflow as tf

import ambert_tf
from ambert_tf.models.bert_optimizer import BertAdamW, BertLearningRate
from tests.models.family import TEXTS, backbone, classifier

LABELS = [0, 1, 1, 0]
# The types of input that Keras accepts.
FORMS = {
    "list": lambda: (TEXTS, LABELS),
    "array": lambda: (np.array(TEXTS), np.array(LABELS)),
    "tensor": lambda: (tf.constant(TEXTS), tf.constant(LABELS)),
    "dataset": lambda: (tf.data.Dataset.from_tensor_slices((TEXTS, LABELS)).batch(2), None),
}


@pytest.fixture(scope="module")
def trained():
    """A classifier trained by `fit`, its history, and its logits by head."""
    keras.utils.set_random_seed(1)
    model = classifier(agreement_weight=2.0)
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

    def test_no_inputs(self, tokenizer):
        model = classifier(num_classes=3, activation="softmax")
        model.compile(run_eagerly=True)
        for empty in ([], np.array([], str), tf.constant([], tf.string)):
            assert model.predict(empty, verbose=0).shape == (0, 3)
        assert model.predict_on_batch([]).shape == (0, 3)
        model.preprocessor = ambert_tf.AmbertTextClassifierPreprocessor(tokenizer, 16, pair=True)
        assert model.predict(([], []), verbose=0).shape == (0, 3)

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

    def test_inference_on_one_grain_is_ambert_single(self, trained):
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
            classifier(inference="both")
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

    def test_regression(self):
        model = classifier(num_classes=1, score_range=(0.0, 5.0))
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
        model = ambert_tf.AmbertTextClassifier(backbone(dtype="mixed_float16"), 2, preprocessor)
        model.compile(run_eagerly=True)
        assert np.isfinite(model.fit(TEXTS, LABELS, verbose=0).history["loss"][0])

    def test_replicas_and_xla_train_to_the_same_losses(self, tokenizer):
        losses = []
        devices = [device.name for device in tf.config.list_logical_devices("CPU")[:2]]
        one, two = tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(devices)
        for strategy, jit_compile in ((one, False), (two, False), (one, True)):
            with strategy.scope():
                model = ambert_tf.AmbertTextClassifier(
                    backbone("bert_fine", static_shapes=True, dropout=0.0, attention_dropout=0.0), 2,
                    ambert_tf.AmbertTextClassifierPreprocessor(tokenizer, 16, static_shapes=True), compile=False,
                )  # fmt: skip
                model.compile(BertAdamW(BertLearningRate(1e-2)), jit_compile=jit_compile)
            # With steps_per_epoch, the epochs share an iterator, which takes a second to create.
            dataset = tf.data.Dataset.from_tensor_slices((TEXTS, LABELS)).batch(4).repeat()
            losses.append(model.fit(dataset, steps_per_epoch=1, epochs=3, verbose=0).history["loss"])
        np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
        np.testing.assert_allclose(losses[0], losses[2], rtol=1e-4)
        assert losses[0][2] != losses[0][0]

    def test_xla_is_for_static_shapes(self):
        assert not classifier().jit_compile
        assert ambert_tf.AmbertTextClassifier(backbone(static_shapes=True), 2).jit_compile
        with pytest.raises(ValueError, match="`jit_compile=True` needs static shapes"):
            classifier(compile=False).compile(jit_compile=True)
        spans = ambert_tf.AmbertSpanExtractor(backbone(static_shapes=True))
        assert not spans.jit_compile
        with pytest.raises(ValueError, match="needs static shapes, but the number of windows differs"):
            spans.compile(jit_compile=True)

    def test_lora_updates_queries_and_values(self):
        model = classifier()
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
            classifier(num_classes=0)
        model = classifier(num_classes=np.max(LABELS) + 1)
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
