import math

import numpy as np

from ambert_tf.models.masked_lm_head import masked_lm_targets
from tests.small_models import masked_lm, pretraining_inputs, small_config


def logits_everywhere(model, inputs, grain):
    """The masked-LM head at every position, in plain NumPy."""
    weights = {variable.path: np.asarray(variable, np.float64) for variable in model.weights}
    x = np.asarray(model.backbone(inputs)[f"{grain}_sequence_output"], np.float64)
    x = x @ weights["masked_lm_head/transform/kernel"] + weights["masked_lm_head/transform/bias"]
    x = x * 0.5 * (1 + np.vectorize(math.erf)(x / np.sqrt(2)))
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
    x = x * weights["masked_lm_head/layer_norm/gamma"] + weights["masked_lm_head/layer_norm/beta"]
    table = weights[f"backbone/embeddings/{grain}_token_embeddings"]
    return x @ table.T + weights[f"masked_lm_head/{grain}_output_bias"]


def test_masked_lm_logits_are_those_of_the_whole_sequence_at_the_masked_positions():
    inputs = pretraining_inputs()
    model = masked_lm(small_config())
    random = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(random.normal(size=variable.shape).astype(np.float32) * 0.3)
    for static_shapes in (False, True):
        model.backbone.static_shapes = static_shapes
        outputs = model(inputs)
        for grain in ("fine", "coarse"):
            everywhere = logits_everywhere(model, inputs, grain)
            positions = inputs[f"{grain}_masked_lm_positions"]
            real = inputs[f"{grain}_masked_lm_weights"] > 0
            expected = np.take_along_axis(everywhere, positions[:, :, None], axis=1)
            if static_shapes:
                expected = expected.reshape(-1, expected.shape[-1])
                ids = inputs[f"{grain}_masked_lm_ids"].reshape(-1)
            else:
                expected, ids = expected[real], inputs[f"{grain}_masked_lm_ids"][real]
                assert len(ids) == 6 * 3 - 3  # every second row has one less
            np.testing.assert_allclose(outputs[grain], expected, atol=1e-4)
            np.testing.assert_array_equal(masked_lm_targets(inputs, grain, static_shapes)[0], ids)


def test_grains_of_one_encoder_share_the_transform_and_have_a_bias_each():
    def names(model_type):
        model = masked_lm(small_config(model_type), next_sentence=True)
        return {variable.path for variable in model.weights if not variable.path.startswith("backbone/")}

    transform = {"transform/kernel", "transform/bias", "layer_norm/gamma", "layer_norm/beta"}
    next_sentence = {"next_sentence_head/kernel", "next_sentence_head/bias"}
    for model_type, grains in (("ambert", 2), ("ambert_hybrid", 2), ("bert_coarse", 1)):
        biases = {f"masked_lm_head/{grain}_output_bias" for grain in ("coarse", "fine")[:grains]}
        assert names(model_type) == {f"masked_lm_head/{name}" for name in transform} | biases | next_sentence
    combo = names("ambert_combo") - next_sentence
    assert combo == {
        f"{grain}_masked_lm_head/{name}"
        for grain in ("fine", "coarse")
        for name in transform | {f"{grain}_output_bias"}
    }
