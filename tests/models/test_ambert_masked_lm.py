import numpy as np
import pytest

from ambert_tf.models.masked_lm_head import masked_lm_targets
from tests.small_models import masked_lm, pretraining_inputs, small_config


def test_targets_leave_padding_out():
    inputs = {
        "fine_masked_lm_ids": np.array([[11, 12], [13, 0]], np.int32),
        "fine_masked_lm_weights": np.array([[1, 1], [1, 0]], np.float32),
    }
    ids, weights = masked_lm_targets(inputs, "fine")
    assert [ids.numpy().tolist(), weights.numpy().tolist()] == [[11, 12, 13], [1, 1, 1]]
    ids, weights = masked_lm_targets(inputs, "fine", static_shapes=True)
    assert [ids.numpy().tolist(), weights.numpy().tolist()] == [[11, 12, 13, 0], [1, 1, 1, 0]]


@pytest.mark.parametrize(
    ("model_type", "sizes"),
    [
        ("ambert", {"fine": 50, "coarse": 80}),
        ("ambert_combo", {"fine": 50, "coarse": 80}),
        ("ambert_hybrid", {"fine": 50, "coarse": 80}),
        ("bert_fine", {"fine": 50}),
        ("bert_coarse", {"coarse": 80}),
    ],
)
def test_each_grain_is_predicted_over_its_own_vocabulary(model_type, sizes):
    outputs = masked_lm(small_config(model_type))(pretraining_inputs())
    # 6 rows with 3 masked tokens, and one less in every second row.
    assert {grain: logits.shape.as_list() for grain, logits in outputs.items()} == {
        grain: [15, size] for grain, size in sizes.items()
    }


@pytest.mark.parametrize(("model_type", "transforms"), [("ambert", 1), ("ambert_hybrid", 1), ("ambert_combo", 2)])
def test_grains_with_one_encoder_share_the_heads_transform(model_type, transforms):
    model = masked_lm(small_config(model_type))
    assert sum(variable.path.endswith("transform/kernel") for variable in model.weights) == transforms
    assert sum(variable.path.endswith("_output_bias") for variable in model.weights) == 2


def test_the_next_sentence_head_reads_the_first_grains_pooled_output():
    model = masked_lm(small_config(), next_sentence=True)
    inputs = pretraining_inputs()
    outputs = model(inputs)
    pooled = model.backbone(inputs)["fine_pooled_output"].numpy()
    kernel, bias = np.asarray(model.next_sentence_head.kernel), np.asarray(model.next_sentence_head.bias)
    np.testing.assert_allclose(outputs["next_sentence"], pooled @ kernel + bias, atol=1e-6)
    assert "next_sentence" not in masked_lm(small_config())(inputs)


def test_sample_weights_weight_masked_tokens():
    model = masked_lm(small_config())
    inputs = pretraining_inputs()
    y = {grain: inputs.pop(f"{grain}_masked_lm_ids") for grain in ("fine", "coarse")}
    logits = model(inputs)
    own = {grain: inputs[f"{grain}_masked_lm_weights"] for grain in y}
    expected = model.training_loss(inputs, y, logits, None)
    np.testing.assert_allclose(model.training_loss(inputs, y, logits, own), expected, rtol=1e-6)
    assert model.training_loss(inputs, y, logits, {grain: 0 * own[grain] for grain in y}).numpy() == 0
    # The first two sequences have 2 and 3 masked tokens.
    of_two = {f"{grain}_{name}": inputs[f"{grain}_{name}"][:2] for grain in y for name in ("masked_lm_weights",)}
    alone = model.training_loss(of_two, {g: y[g][:2] for g in y}, {g: logits[g][:5] for g in y}, None)
    only_two = np.array([1, 1, 0, 0, 0, 0])
    np.testing.assert_allclose(model.training_loss(inputs, y, logits, only_two), alone, rtol=1e-6)


def test_bfloat16_predicts():
    logits = masked_lm(small_config(), dtype="bfloat16")(pretraining_inputs())
    assert logits["coarse"].dtype == "float32" and np.isfinite(logits["coarse"]).all()
