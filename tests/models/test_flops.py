import pytest
import tensorflow as tf

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.config import MODEL_TYPES
from ambert_tf.models.flops import encoder_flops, model_flops, parameter_count, pretraining_flops
from tests.small_models import masked_lm, small_config

LENGTHS = {"fine": tf.constant([7.0, 3.0]), "coarse": tf.constant([4.0, 2.0])}


def matrix_products(config, length):
    """FLOPs of one sequence in the forward pass, summed over products: 2 m n k for [m, k] times [k, n]."""
    hidden, intermediate, heads = config.hidden_size, config.intermediate_size, config.num_attention_heads
    projections = 4 * 2 * length * hidden * hidden
    scores_and_sums = 2 * heads * 2 * length * length * (hidden // heads)
    feed_forward = 2 * 2 * length * hidden * intermediate
    return config.num_hidden_layers * (projections + scores_and_sums + feed_forward)


def test_an_encoder_is_its_matrix_products():
    config = small_config()
    assert encoder_flops(config, 7.0, 49.0) == matrix_products(config, 7)


@pytest.mark.parametrize(
    ("model_type", "lengths"),
    [
        ("bert_fine", [7, 3]),
        ("bert_coarse", [4, 2]),
        ("ambert", [7, 3, 4, 2]),
        ("ambert_combo", [7, 3, 4, 2]),
        ("ambert_hybrid", [11, 5]),  # both sequences of a text in one
    ],
)
def test_only_real_tokens_are_counted(model_type, lengths):
    config = small_config(model_type)
    expected = sum(matrix_products(config, length) for length in lengths)
    assert float(model_flops(config, LENGTHS)) == expected


def test_pretraining_adds_the_heads_and_the_backward_pass():
    config = small_config("bert_coarse")
    head = 2 * 16 * 16 + 2 * 16 * 80  # transform, and scores of the coarse vocabulary
    expected = 3 * (float(model_flops(config, LENGTHS)) + 5 * head)
    assert float(pretraining_flops(config, LENGTHS, {"coarse": tf.constant(5.0)})) == expected


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_parameters_are_counted_without_making_the_model(model_type):
    config = small_config(model_type)
    assert parameter_count(config) == AmbertBackbone.from_model_config(config).count_params()
    assert parameter_count(config, masked_lm_heads=True) == masked_lm(config).count_params()
