"""`compile`, `fit` and `evaluate` of the task models, on preprocessed inputs and in eager mode."""

import keras
import numpy as np
import pytest

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_text_classifier import AmbertTextClassifier
from tests.small_models import random_inputs, small_config

LABELS = np.array([0, 1, 1])


def classifier(num_classes=2, **arguments):
    backbone = AmbertBackbone.from_model_config(small_config())
    return AmbertTextClassifier(backbone, num_classes, compile=False, **arguments)


def evaluate(model, y=LABELS):
    return model.evaluate(random_inputs(), y, verbose=0, return_dict=True)


def test_compile_replaces_the_loss_and_the_metrics_of_the_previous_one():
    model = classifier()
    model.compile(run_eagerly=True)
    first = evaluate(model)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=None, run_eagerly=True)
    other = evaluate(model)
    logits = model(random_inputs())["joint"].numpy()
    expected = np.log(np.exp(logits).sum(1)) - logits[range(3), LABELS]
    assert other == {"loss": pytest.approx(expected.mean(), rel=1e-4)}
    model.compile(run_eagerly=True)
    assert evaluate(model) == first
    assert first["loss"] > 2 * other["loss"]  # eq. (2) has the losses of three heads


def test_a_custom_loss_and_metrics_read_activated_predictions():
    model = classifier(num_classes=1, activation="sigmoid")
    model.compile("adam", "binary_crossentropy", metrics=["mean_squared_error"], run_eagerly=True)
    probability = 1 / (1 + np.exp(-model(random_inputs())["joint"].numpy()[:, 0]))
    found = evaluate(model)
    expected = -np.log(np.where(LABELS, probability, 1 - probability)).mean()
    np.testing.assert_allclose(found["loss"], expected, rtol=1e-4)
    np.testing.assert_allclose(found["mean_squared_error"], np.square(probability - LABELS).mean(), rtol=1e-4)


def test_regression_fits_activated_scores():
    model = classifier(num_classes=1, activation="sigmoid", agreement_weight=0.0)
    logits = dict.fromkeys(("fine", "coarse", "joint"), np.zeros((3, 1), np.float32))
    assert model.training_loss({}, LABELS, logits, None).numpy() == 0.75  # three heads predict 0.5


def test_metrics_clip_scores_as_predict_does_and_losses_do_not():
    model = classifier(num_classes=1, score_range=(2, 5))
    y = np.full(3, 3.0)
    model.compile("adam", "mean_squared_error", run_eagerly=True)
    scores = model(random_inputs())["joint"].numpy()
    assert abs(scores).max() < 2
    found = evaluate(model, y)
    assert found["mean_squared_error"] == 1.0  # of 2, the lower end
    np.testing.assert_allclose(found["loss"], np.square(scores - 3).mean(), rtol=1e-5)
