import functools

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.config import MODEL_TYPES
from tests.small_models import random_inputs, small_config


def values(model):
    return {variable.path: np.asarray(variable) for variable in model.weights}


def randomize(model, seed=0):
    """Assigns random values to every variable, so that no bias is zero and no scale is one."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        variable.assign(random.normal(size=variable.shape).astype(np.float32) * 0.3)


def keras_hub_bert(config, grain, weights, prefix="backbone"):
    """Returns keras-hub's BERT with the weights of our model."""
    bert = keras_hub.models.BertBackbone(
        vocabulary_size=config.grain_vocab_size(grain), num_layers=config.num_hidden_layers,
        num_heads=config.num_attention_heads, hidden_dim=config.hidden_size,
        intermediate_dim=config.intermediate_size, dropout=0.0, num_segments=config.type_vocab_size,
        max_sequence_length=config.max_position_embeddings,
    )  # fmt: skip
    size, heads = config.hidden_size, config.num_attention_heads

    def assign(variable, name, shape=None):
        value = weights[f"{prefix}/{name}"]
        variable.assign(value.reshape(shape) if shape else value)

    assign(bert.get_layer("token_embedding").embeddings, f"embeddings/{grain}_token_embeddings")
    assign(bert.get_layer("position_embedding").position_embeddings, "embeddings/position_embeddings")
    assign(bert.get_layer("segment_embedding").embeddings, "embeddings/segment_embeddings")
    assign(bert.get_layer("embeddings_layer_norm").gamma, "embeddings/layer_norm/gamma")
    assign(bert.get_layer("embeddings_layer_norm").beta, "embeddings/layer_norm/beta")
    assign(bert.get_layer("pooled_dense").kernel, "pooler/kernel")
    assign(bert.get_layer("pooled_dense").bias, "pooler/bias")
    for index in range(config.num_hidden_layers):
        layer, ours = bert.get_layer(f"transformer_layer_{index}"), f"encoder/layer_{index}"
        attention = layer._self_attention_layer
        split, joined = (size, heads, size // heads), (heads, size // heads, size)
        for name in ("query", "key", "value"):
            dense = getattr(attention, f"_{name}_dense")
            assign(dense.kernel, f"{ours}/attention/{name}/kernel", split)
            assign(dense.bias, f"{ours}/attention/{name}/bias", split[1:])
        assign(attention._output_dense.kernel, f"{ours}/attention/output/kernel", joined)
        assign(attention._output_dense.bias, f"{ours}/attention/output/bias")
        if config.hidden_act == "gelu":  # keras-hub uses the tanh approximation
            layer._feedforward_intermediate_dense.activation = functools.partial(
                keras.activations.gelu, approximate=False
            )
        for theirs, name in (
            (layer._self_attention_layer_norm, "attention_layer_norm"),
            (layer._feedforward_layer_norm, "output_layer_norm"),
        ):
            assign(theirs.gamma, f"{ours}/{name}/gamma")
            assign(theirs.beta, f"{ours}/{name}/beta")
        for theirs, name in (
            (layer._feedforward_intermediate_dense, "intermediate"),
            (layer._feedforward_output_dense, "output"),
        ):
            assign(theirs.kernel, f"{ours}/{name}/kernel")
            assign(theirs.bias, f"{ours}/{name}/bias")
    return bert


def keras_hub_outputs(bert, inputs, grain):
    ids = inputs[f"{grain}_input_ids"]
    return bert(
        {"token_ids": ids, "segment_ids": inputs[f"{grain}_segment_ids"], "padding_mask": tf.cast(ids != 0, tf.int32)}
    )


@pytest.mark.parametrize("hidden_act", ["gelu", "gelu_new"])
@pytest.mark.parametrize(
    ("model_type", "prefixes"),
    [
        ("bert_fine", {"fine": "backbone"}),
        ("bert_coarse", {"coarse": "backbone"}),
        ("ambert", {"fine": "backbone", "coarse": "backbone"}),
        ("ambert_combo", {"fine": "backbone/fine_bert", "coarse": "backbone/coarse_bert"}),
    ],
)
def test_each_grain_is_keras_hubs_bert_with_the_same_weights(model_type, prefixes, hidden_act):
    config = small_config(model_type, hidden_act=hidden_act)
    model = AmbertBackbone.from_model_config(config)
    randomize(model)
    inputs = random_inputs()
    outputs = model(inputs)
    assert set(outputs) == {f"{grain}_{name}_output" for grain in prefixes for name in ("sequence", "pooled")}
    for grain, prefix in prefixes.items():
        bert = keras_hub_bert(config, grain, values(model), prefix)
        expected = keras_hub_outputs(bert, inputs, grain)
        real = inputs[f"{grain}_input_ids"].numpy() != 0
        sequence_output = outputs[f"{grain}_sequence_output"].numpy()
        np.testing.assert_allclose(sequence_output[real], expected["sequence_output"].numpy()[real], atol=1e-5)
        np.testing.assert_allclose(outputs[f"{grain}_pooled_output"], expected["pooled_output"], atol=1e-5)


def test_hybrid_is_one_bert_over_both_sequences():
    config = small_config("ambert_hybrid")
    model = AmbertBackbone.from_model_config(config)
    randomize(model)
    inputs = random_inputs(fine=((4, 4, 4), 4), coarse=((3, 3, 3), 3))
    weights = values(model)
    # One vocabulary and one row of positions with the coarse ones after the fine ones.
    together = {
        **weights,
        "backbone/embeddings/fine_token_embeddings": np.concatenate(
            [weights[f"backbone/embeddings/{grain}_token_embeddings"] for grain in ("fine", "coarse")]
        ),
        "backbone/embeddings/position_embeddings": np.concatenate(
            [
                weights["backbone/embeddings/fine_position_embeddings"][:4],
                weights["backbone/embeddings/coarse_position_embeddings"][:16],
            ]
        ),
    }
    bert = keras_hub_bert(small_config("bert_fine", vocab_size=130), "fine", together)
    ids = tf.concat([inputs["fine_input_ids"], inputs["coarse_input_ids"] + 50], 1)
    segments = tf.concat([inputs["fine_segment_ids"], inputs["coarse_segment_ids"]], 1)
    expected = keras_hub_outputs(bert, {"fine_input_ids": ids, "fine_segment_ids": segments}, "fine")["sequence_output"]
    outputs = model(inputs)
    np.testing.assert_allclose(outputs["fine_sequence_output"], expected[:, :4], atol=1e-5)
    np.testing.assert_allclose(outputs["coarse_sequence_output"], expected[:, 4:], atol=1e-5)


def test_in_ambert_only_the_token_tables_differ_between_the_grains():
    config = small_config("ambert", coarse_vocab_size=50)
    model = AmbertBackbone.from_model_config(config)
    randomize(model)
    ids = random_inputs()["fine_input_ids"]
    inputs = {f"{g}_input_ids": ids for g in ("fine", "coarse")} | {
        f"{g}_segment_ids": tf.zeros_like(ids) for g in ("fine", "coarse")
    }
    assert not np.allclose(model(inputs)["fine_sequence_output"], model(inputs)["coarse_sequence_output"])
    model.token_table("coarse").assign(model.token_table("fine"))
    outputs = model(inputs)
    np.testing.assert_allclose(outputs["fine_sequence_output"], outputs["coarse_sequence_output"], atol=1e-6)


def test_in_combo_nothing_is_shared():
    model = AmbertBackbone.from_model_config(small_config("ambert_combo"))
    inputs = random_inputs()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(inputs)["fine_pooled_output"])
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    used = {v.path.split("/")[1] for v, g in zip(model.trainable_variables, gradients, strict=True) if g is not None}
    assert used == {"fine_bert"}


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_padding_changes_nothing(model_type):
    model = AmbertBackbone.from_model_config(small_config(model_type))
    randomize(model)
    short = random_inputs()
    padded = {name: tf.pad(value, [[0, 0], [0, 6]]) for name, value in short.items()}
    expected, outputs = model(short), model(padded)
    for grain in model.grains:
        real = short[f"{grain}_input_ids"].numpy() != 0
        length = real.shape[1]
        name = f"{grain}_sequence_output"
        np.testing.assert_allclose(
            outputs[name].numpy()[:, :length][real], expected[name].numpy()[real], atol=1e-5
        )


def test_a_sequence_does_not_see_the_others_of_its_batch():
    model = AmbertBackbone.from_model_config(small_config())
    randomize(model)
    inputs = random_inputs()
    alone = model({name: value[1:2] for name, value in inputs.items()})
    for grain in ("fine", "coarse"):
        real = inputs[f"{grain}_input_ids"][1].numpy() != 0
        name = f"{grain}_sequence_output"
        np.testing.assert_allclose(model(inputs)[name][1].numpy()[real], alone[name][0].numpy()[real], atol=1e-5)


def test_ambert_single_runs_the_fine_encoder_only():
    model = AmbertBackbone.from_model_config(small_config())
    inputs = random_inputs()
    fine_inputs = {name: value for name, value in inputs.items() if name.startswith("fine")}
    outputs = model(fine_inputs, grains=("fine",))
    assert list(outputs) == ["fine_sequence_output", "fine_pooled_output"]
    np.testing.assert_allclose(outputs["fine_sequence_output"], model(inputs)["fine_sequence_output"], atol=1e-6)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_attention_weights_are_distributions_over_real_tokens(model_type):
    model = AmbertBackbone.from_model_config(small_config(model_type))
    inputs = random_inputs()
    weights = model.attention_weights(inputs)
    assert set(weights) == set(model.grains)
    for grain in model.grains:
        assert len(weights[grain]) == 2  # layers
        length = 7 + 5 if model_type == "ambert_hybrid" else {"fine": 7, "coarse": 5}[grain]
        assert weights[grain][0].shape == (3, 2, length, length)
        np.testing.assert_allclose(tf.reduce_sum(weights[grain][1], -1), 1.0, atol=1e-6)
        if model_type != "ambert_hybrid":
            padding = inputs[f"{grain}_input_ids"][2].numpy() == 0
            assert weights[grain][1][2].numpy()[:, :, padding].max() == 0.0


def test_dropout_is_a_function_of_the_seed():
    model = AmbertBackbone.from_model_config(small_config(hidden_dropout_prob=0.5, attention_probs_dropout_prob=0.5))
    inputs = random_inputs()
    one, again, other = (
        model(inputs, training=True, seed=tf.constant(seed))["fine_sequence_output"]
        for seed in ([1, 2], [1, 2], [1, 3])
    )
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)
    assert not np.allclose(one, model(inputs)["fine_sequence_output"])
    # Without a seed, each call uses a different one.
    first, second = (model(inputs, training=True)["fine_sequence_output"] for _ in range(2))
    assert not np.allclose(first, second)


def test_initial_weights_are_a_function_of_the_seed():
    config = small_config(hidden_size=64)
    one, again, other = (values(AmbertBackbone.from_model_config(config, seed=seed)) for seed in (1, 1, 2))
    kernels = [name for name in one if name.endswith(("kernel", "embeddings"))]
    for name in kernels:
        np.testing.assert_array_equal(one[name], again[name])
        assert not np.array_equal(one[name], other[name])
        assert np.abs(one[name]).max() <= 0.04  # two deviations of 0.02
        assert 0.012 < one[name].std() < 0.023, name
    first, second = (one[f"backbone/encoder/layer_{i}/output/kernel"] for i in (0, 1))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(("policy", "dtype"), [("mixed_bfloat16", tf.bfloat16), ("mixed_float16", tf.float16)])
def test_half_precision_is_close_to_float32(policy, dtype):
    config = small_config()
    model, half = AmbertBackbone.from_model_config(config), AmbertBackbone.from_model_config(config, dtype=policy)
    outputs, half_outputs = model(random_inputs()), half(random_inputs())
    assert half_outputs["coarse_sequence_output"].dtype == dtype
    assert all(variable.dtype == "float32" for variable in half.weights)
    for grain in ("fine", "coarse"):
        name = f"{grain}_sequence_output"
        np.testing.assert_allclose(tf.cast(half_outputs[name], tf.float32), outputs[name], atol=0.06)


def test_too_long_a_sequence_is_named():
    inputs = random_inputs(fine=((21, 3, 3), 21))
    with pytest.raises(Exception, match="longer than max_position_embeddings"):
        AmbertBackbone.from_model_config(small_config())(inputs)


@pytest.mark.parametrize("model_type", ["ambert", "ambert_combo"])
def test_models_made_from_its_outputs_have_dropout_and_are_saved(model_type, tmp_path):
    backbone = AmbertBackbone.from_model_config(small_config(model_type, hidden_dropout_prob=0.5))
    model = keras.Model(backbone.input, backbone.output["coarse_pooled_output"])
    inputs = random_inputs()
    first, second = (model(inputs, training=True).numpy() for _ in range(2))
    assert not np.allclose(first, second, atol=1e-3)
    expected = model(inputs).numpy()
    np.testing.assert_array_equal(expected, backbone(inputs)["coarse_pooled_output"])
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras")(inputs), expected)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone(inputs), expected)
