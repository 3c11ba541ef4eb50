"""`compile`, `fit` and `evaluate` of the task models, on preprocessed inputs and in eager mode."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_multiple_choice import AmbertMultipleChoice
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


def test_a_keras_file_restores_the_compilation_and_the_optimizer(tmp_path):
    model, one_hot = classifier(), np.eye(2)[LABELS]
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    model.compile(keras.optimizers.Adam(0.02), loss, metrics=["categorical_accuracy"], run_eagerly=True)
    model.train_on_batch(random_inputs(), one_hot)
    model.save(tmp_path / "model.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (int(loaded.optimizer.iterations), float(loaded.optimizer.learning_rate)) == (1, pytest.approx(0.02))
    for found, expected in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(found, expected)
    continued = [each.train_on_batch(random_inputs(), one_hot, return_dict=True) for each in (model, loaded)]
    assert set(continued[0]) == {"loss", "categorical_accuracy"}
    assert continued[0] == continued[1]
    np.testing.assert_array_equal(loaded(random_inputs())["joint"], model(random_inputs())["joint"])


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


def test_a_custom_loss_takes_labels_of_its_own():
    model = classifier()
    model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True), metrics=[], run_eagerly=True)
    one_hot = evaluate(model, np.eye(2)[LABELS])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=[], run_eagerly=True)
    assert one_hot == pytest.approx(evaluate(model))
    model.compile(run_eagerly=True)
    with pytest.raises(ValueError, match="not one-hot"):
        evaluate(model, np.eye(2)[LABELS])


def test_sample_weights_need_labels():
    model, weights = classifier(), np.ones(3)
    validation_data = (random_inputs(), None, weights)
    for function in (
        lambda: model.fit(random_inputs(), sample_weight=weights),
        lambda: model.fit(random_inputs(), LABELS, validation_data=validation_data),
        lambda: model.evaluate(random_inputs(), sample_weight=weights),
        lambda: model.train_on_batch(random_inputs(), sample_weight=weights),
    ):
        with pytest.raises(ValueError, match="`sample_weight` needs `y` in AmbertTextClassifier"):
            function()


def test_train_on_batch_after_fit_has_a_constant_learning_rate():
    model = classifier()
    model.compile(run_eagerly=True)
    model.fit(random_inputs(), LABELS, verbose=0)
    assert float(model.optimizer.learning_rate) == 0.0  # the schedule of `fit` has ended
    before = model.heads.heads["joint"].bias.numpy()
    assert model.train_on_batch(random_inputs(), LABELS, return_dict=True)["loss"] > 0
    np.testing.assert_allclose(abs(model.heads.heads["joint"].bias.numpy() - before).max(), 5e-5, rtol=0.2)


def test_a_choice_that_is_missing_is_not_a_label():
    backbone = AmbertBackbone.from_model_config(small_config())
    model = AmbertMultipleChoice(backbone, compile=False)
    # Two examples with three choices each; the last choice of the second one is missing.
    there = tf.constant([1, 1, 1, 1, 1, 0])[:, tf.newaxis]
    flat = random_inputs(fine=((7, 5, 2, 3, 3, 3), 7), coarse=((4, 3, 2, 3, 3, 3), 5))
    x = {name: tf.reshape(values * there, [2, 3, -1]) for name, values in flat.items()}
    model.compile(run_eagerly=True)
    assert evaluate_choices(model, x, [0, 1]) < 20
    for label in (2, 3, -1):
        with pytest.raises(ValueError, match=rf"the label {label} for example 1, which has the choices \[0, 1\]"):
            evaluate_choices(model, x, [0, label])


def test_logits_are_float32_under_any_global_policy():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        backbone = AmbertBackbone.from_model_config(small_config(num_hidden_layers=1))
        model = AmbertMultipleChoice(backbone, compile=False)
    finally:
        keras.config.set_dtype_policy(policy)
    flat = random_inputs()
    expected = model.heads({g: backbone(flat)[f"{g}_pooled_output"] for g in ("fine", "coarse")})["joint"]
    logits = model({name: values[tf.newaxis] for name, values in flat.items()})["joint"]
    assert (backbone.compute_dtype, logits.dtype) == ("bfloat16", "float32")
    np.testing.assert_array_equal(logits, tf.transpose(expected))  # not rounded to bfloat16


def evaluate_choices(model, x, y):
    return model.evaluate(x, np.array(y), verbose=0, return_dict=True)["loss"]
