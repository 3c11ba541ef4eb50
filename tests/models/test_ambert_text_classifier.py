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
