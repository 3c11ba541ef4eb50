import numpy as np
import pytest

from ambert_tf.errors import InputError
from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_text_classifier import AmbertTextClassifier
from ambert_tf.models.inference import inference_config, trained_path
from tests.small_models import random_inputs, small_config


def classifier(config, num_classes, **backbone_arguments):
    backbone = AmbertBackbone.from_model_config(config, **backbone_arguments)
    return AmbertTextClassifier(backbone, num_classes, compile=False)


@pytest.mark.parametrize(
    ("model_type", "heads"),
    [
        ("ambert", {"fine", "coarse", "joint"}),
        ("ambert_combo", {"fine", "coarse", "joint"}),
        ("ambert_hybrid", {"fine", "joint"}),  # fine-tuned like BERT, §3.4
        ("bert_fine", {"fine", "joint"}),
        ("bert_coarse", {"coarse", "joint"}),
    ],
)
def test_each_model_has_the_heads_of_its_grains(model_type, heads):
    model = classifier(small_config(model_type), num_classes=4)
    logits = model(random_inputs())
    assert set(logits) == heads
    assert all(value.shape == (3, 4) for value in logits.values())


def test_the_fine_grain_alone_predicts_as_in_the_whole_model():
    config = small_config()
    whole = classifier(config, num_classes=4, seed=1)
    alone = classifier(inference_config(config, "fine"), num_classes=4, seed=2)
    values = {variable.path: variable for variable in whole.weights}
    for variable in alone.weights:
        variable.assign(values[trained_path(config, alone.config, variable.path)])
    inputs = random_inputs()
    fine_inputs = {name: value for name, value in inputs.items() if name.startswith("fine")}
    np.testing.assert_allclose(alone(fine_inputs)["joint"], whole(inputs)["fine"], atol=1e-6)
    assert not any("coarse" in variable.path for variable in alone.weights)


def test_combo_has_one_encoder_per_grain():
    config = small_config("ambert_combo")
    running = inference_config(config, "coarse")
    path = "backbone/encoder/layer_0/output/kernel"
    assert trained_path(config, running, path) == "backbone/coarse_bert/encoder/layer_0/output/kernel"
    assert trained_path(config, config, path) == path


def test_grains_that_a_model_cannot_run_alone_are_named():
    with pytest.raises(InputError, match="--inference=fine: ambert_hybrid reads both grains as one sequence"):
        inference_config(small_config("ambert_hybrid"), "fine")
    with pytest.raises(InputError, match="--inference=coarse: bert_fine has no coarse grain"):
        inference_config(small_config("bert_fine"), "coarse")


@pytest.mark.parametrize("model_type", ["ambert", "ambert_hybrid"])
def test_mean_pooling_classifies_the_mean_over_the_tokens(model_type):
    model = classifier(small_config(model_type, classifier_pooling="mean"), num_classes=4)
    inputs = random_inputs()
    outputs = model.backbone(inputs)
    means = {}
    for grain in model.backbone.classification_grains:
        real = inputs[f"{grain}_input_ids"].numpy() != 0
        sequence = outputs[f"{grain}_sequence_output"].numpy()
        means[grain] = np.stack([row[kept].mean(axis=0) for row, kept in zip(sequence, real, strict=True)])
    expected, found = model.heads(means), model(inputs)
    for head, logits in expected.items():
        np.testing.assert_allclose(found[head], logits, atol=1e-6)


def test_padding_does_not_change_the_mean_in_training():
    # In training, padding is removed and the sequence output is undefined there.
    model = classifier(small_config(classifier_pooling="mean"), num_classes=4)
    inputs = random_inputs()
    padded = {name: np.pad(values, ((0, 0), (0, 3))) for name, values in inputs.items()}
    for name, logits in model(inputs).items():
        np.testing.assert_allclose(model(padded, training=True)[name], logits, atol=1e-5)


def test_fit_does_not_warn_about_the_pooler(recwarn):
    model = classifier(small_config(classifier_pooling="mean"), num_classes=4)
    model.compile()
    model.fit({name: np.asarray(values) for name, values in random_inputs().items()}, np.array([0, 1, 2]), verbose=0)
    assert not [str(each.message) for each in recwarn if "Gradients" in str(each.message)]


@pytest.mark.parametrize(("dtype", "tolerance"), [("bfloat16", 5e-3), ("float16", 1e-3), ("float64", 1e-5)])
def test_other_dtypes_compute_nearly_the_same(dtype, tolerance):
    config = small_config()
    model, other = classifier(config, num_classes=4), classifier(config, num_classes=4, dtype=dtype)
    other.set_weights(model.get_weights())
    found = other(random_inputs(), training=True)["joint"]  # the configuration has no dropout
    np.testing.assert_allclose(found, model(random_inputs())["joint"], atol=tolerance)
    assert other.heads.heads["joint"].kernel.dtype == dtype
    assert other.backbone.token_table("fine").dtype == "float32"
