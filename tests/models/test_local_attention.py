import keras
import numpy as np
import pytest

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_text_classifier import AmbertTextClassifier
from ambert_tf.models.local_attention import attention_kernels, position_embeddings
from tests.small_models import random_inputs, small_config

WIDE = {"hidden_size": 128, "num_attention_heads": 4, "initializer_range": 0.09, "max_position_embeddings": 64}


def test_position_embeddings_have_the_deviation_of_random_ones():
    table = position_embeddings(512, 128, 0.09)
    assert table.shape == (512, 128)
    assert np.std(table) == pytest.approx(0.09, rel=0.1)
    assert len(np.unique(table.round(5), axis=0)) == 512


@pytest.mark.parametrize(
    ("size", "heads"), [(128, 2), (128, 4), (256, 4), (512, 8), (768, 12), (16, 2), (18, 3), (7, 1)]
)
def test_the_first_heads_attend_to_their_offset(size, heads):
    # Without the random part, the scores between positions are highest at the offset.
    query, key = attention_kernels(np.zeros((size, size)), np.zeros((size, size)), heads)
    positions = position_embeddings(40, size, 0.5**0.5)
    head_size = size // heads
    for head in range(heads):
        columns = slice(head * head_size, (head + 1) * head_size)
        scores = positions @ query[:, columns] @ (positions @ key[:, columns]).T
        if head >= 4 or size < 128:
            continue
        offset = (-1, 1, -2, 2)[head]
        assert (scores.argmax(axis=1)[4:-4] == np.arange(40)[4:-4] + offset).all()


def test_heads_after_the_fourth_stay_random():
    random = np.random.default_rng(0).normal(size=(2, 512, 512))
    found = attention_kernels(*random, heads=8)
    for kernel, before in zip(found, random, strict=True):
        np.testing.assert_array_equal(kernel[:, 256:], before[:, 256:])
        assert not np.allclose(kernel[:, :256], before[:, :256])


def attention(**changes):
    """Returns the attention weights of the first layer of a new model, [heads, length, length]."""
    model = AmbertBackbone.from_model_config(small_config(**WIDE, **changes))
    return model.attention_weights(random_inputs(fine=((20,) * 3, 20)))["fine"][0].numpy().mean(axis=0)


def test_a_new_model_attends_to_neighbours():
    local = attention(attention_initializer="local")
    for head, offset in enumerate((-1, 1, -2, 2)):
        assert np.diagonal(local[head], offset).mean() > 0.4
    random = attention()
    assert np.diagonal(random, 1, axis1=1, axis2=2).mean() < 0.1


@pytest.mark.parametrize("model_type", ["ambert_combo", "ambert_hybrid", "bert_coarse"])
def test_the_other_models_have_the_same_initial_positions(model_type):
    model = AmbertBackbone.from_model_config(small_config(model_type, **WIDE, attention_initializer="local"))
    tables = [np.asarray(variable) for variable in model.weights if variable.path.endswith("position_embeddings")]
    assert len(tables) == {"bert_coarse": 1}.get(model_type, 2)
    for table in tables:
        np.testing.assert_array_equal(table, position_embeddings(64, 128, 0.09))


def test_the_rest_of_the_model_is_initialized_as_without_it():
    models = [
        AmbertBackbone.from_model_config(small_config(**WIDE, attention_initializer=kind))
        for kind in ("random", "local")
    ]
    changed = {
        random.path for random, local in zip(*(model.weights for model in models), strict=True)
        if not np.array_equal(random, local)
    }  # fmt: skip
    layer = "backbone/encoder/layer_0/attention"
    assert changed == {"backbone/embeddings/position_embeddings", f"{layer}/query/kernel", f"{layer}/key/kernel"}


def test_quantized_models_are_loaded(tmp_path):
    backbone = AmbertBackbone.from_model_config(small_config(num_hidden_layers=1, attention_initializer="local"))
    model = AmbertTextClassifier(backbone, 2, compile=False)
    model.backbone.quantize("int8")
    expected = model(random_inputs())["joint"]
    model.save(tmp_path / "model.keras")
    model.save_to_preset(str(tmp_path / "preset"))
    for loaded in (
        keras.saving.load_model(tmp_path / "model.keras"),
        AmbertTextClassifier.from_preset(str(tmp_path / "preset")),
    ):
        assert loaded.backbone.encoders["fine"].encoder.parts[0].attention.query.kernel.dtype == "int8"
        np.testing.assert_array_equal(loaded(random_inputs())["joint"], expected)
