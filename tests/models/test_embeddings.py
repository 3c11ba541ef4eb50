import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.models.embeddings import Embeddings
from tests.small_models import small_config

IDS = np.array([[2, 7, 3, 0]])
SEGMENTS = np.array([[0, 0, 1, 0]])


def embeddings(grains=("fine", "coarse"), position_table_per_grain=False):
    layer = Embeddings(small_config(), grains, position_table_per_grain, seed=3, name="embeddings")
    layer.build()
    return layer


@pytest.mark.parametrize("grain", ["fine", "coarse"])
def test_a_token_is_the_normalised_sum_of_its_three_embeddings(grain):
    layer = embeddings()
    tables = {variable.name: np.asarray(variable, np.float64) for variable in layer.weights}
    total = tables[f"{grain}_token_embeddings"][IDS[0]] + tables["position_embeddings"][:4]
    total += tables["segment_embeddings"][SEGMENTS[0]]
    expected = (total - total.mean(-1, keepdims=True)) / np.sqrt(total.var(-1, keepdims=True) + 1e-12)
    found = layer(tf.constant(IDS), tf.constant(SEGMENTS), grain=grain)
    np.testing.assert_allclose(found[0], expected, atol=2e-5)


def test_grains_differ_in_their_token_tables_only():
    names = {variable.name for variable in embeddings().weights}
    assert {name for name in names if "fine" in name or "coarse" in name} == {
        "fine_token_embeddings", "coarse_token_embeddings",
    }  # fmt: skip


def test_position_table_per_grain():
    layer = embeddings(position_table_per_grain=True)
    assert {variable.name for variable in layer.weights if "position" in variable.name} == {
        "fine_position_embeddings", "coarse_position_embeddings",
    }  # fmt: skip
    fine, coarse = layer.position_tables["fine"], layer.position_tables["coarse"]
    assert fine.shape == coarse.shape and not np.allclose(fine, coarse)


def test_dropout_needs_a_seed():
    config = small_config(hidden_dropout_prob=0.5)
    layer = Embeddings(config, ("fine",), name="embeddings")
    layer.build()
    ids, segments = tf.constant(IDS), tf.constant(SEGMENTS)
    dropped = layer(ids, segments, grain="fine", seed=tf.constant([1, 2])).numpy()
    assert 0.2 < (dropped == 0).mean() < 0.8
    assert (layer(ids, segments, grain="fine").numpy() != 0).all()
