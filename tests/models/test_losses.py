import math

import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.models.losses import (
    agreement_loss,
    classification_loss,
    log_losses,
    masked_lm_accuracy,
    masked_lm_loss,
    pretraining_loss,
    regression_loss,
    span_loss,
    token_loss,
)

# Softmax of [log 1, log 2, log 5] is [1/8, 2/8, 5/8].
LOGITS = tf.math.log([[1.0, 2.0, 5.0], [6.0, 1.0, 1.0]])


def test_log_losses_and_their_gradient_are_tensorflows():
    logits = tf.constant(np.random.default_rng(0).normal(size=(7, 50), scale=20), tf.float32)
    ids, upstream = tf.constant([0, 49, 3, 3, 7, 20, 31]), tf.range(7.0)
    found = []
    for function in (log_losses, lambda x, y: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=x)):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            losses = function(logits, ids)
        found.append((losses, tape.gradient(losses, logits, upstream)))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-5, atol=1e-6)


def test_masked_lm_loss_is_the_mean_over_real_predictions():
    ids = tf.constant([2, 0])
    assert float(masked_lm_loss(LOGITS, ids)) == pytest.approx(-(math.log(5 / 8) + math.log(6 / 8)) / 2)
    weights = tf.constant([1.0, 0.0])
    assert float(masked_lm_loss(LOGITS, ids, weights)) == pytest.approx(-math.log(5 / 8))
    # Normalized by the 4 predictions of the global batch, the rest of which are on another replica.
    assert float(masked_lm_loss(LOGITS, ids, weights, tf.constant(4.0))) == pytest.approx(-math.log(5 / 8) / 4)


def test_without_a_prediction_loss_and_accuracy_are_zero():
    none = tf.zeros([0, 3]), tf.zeros([0], tf.int32), tf.zeros([0])
    assert float(masked_lm_loss(*none)) == 0.0
    assert float(masked_lm_accuracy(*none)) == 0.0


def test_masked_lm_accuracy():
    assert float(masked_lm_accuracy(LOGITS, tf.constant([2, 1]))) == 0.5
    assert float(masked_lm_accuracy(LOGITS, tf.constant([2, 1]), tf.constant([1.0, 0.0]))) == 1.0


def test_pretraining_loss_is_equation_1():
    parts = {"fine_masked_lm_loss": 2.0, "coarse_masked_lm_loss": 3.5, "fine_masked_lm_accuracy": 0.5}
    parts = {name: tf.constant(value) for name, value in parts.items()}
    assert float(pretraining_loss(parts)) == 5.5
    assert float(pretraining_loss({**parts, "next_sentence_loss": tf.constant(0.25)})) == 5.75


def test_classification_loss_is_equation_2():
    logits = {
        "fine": tf.math.log([[1.0, 3.0]]),  # probabilities 1/4, 3/4
        "coarse": tf.math.log([[3.0, 1.0]]),  # 3/4, 1/4
        "joint": tf.math.log([[1.0, 1.0]]),  # 1/2, 1/2
    }
    loss, parts = classification_loss(logits, tf.constant([1]), agreement_weight=2.0)
    distance = math.sqrt(0.5**2 + 0.5**2)
    assert float(parts["fine_loss"]) == pytest.approx(-math.log(3 / 4))
    assert float(parts["coarse_loss"]) == pytest.approx(-math.log(1 / 4))
    assert float(parts["joint_loss"]) == pytest.approx(-math.log(1 / 2))
    assert float(parts["agreement_loss"]) == pytest.approx(distance)
    assert float(loss) == pytest.approx(-math.log(3 / 4 * 1 / 4 * 1 / 2) + 2 * distance)


def test_a_single_head_has_one_loss_and_no_agreement():
    logits = tf.math.log([[1.0, 3.0]])
    loss, parts = classification_loss({"fine": logits, "joint": logits}, tf.constant([1]))
    assert set(parts) == {"joint_loss"}
    assert float(loss) == pytest.approx(-math.log(3 / 4))


def test_examples_of_weight_zero_do_not_count():
    logits = tf.math.log([[1.0, 3.0], [1.0, 1.0]])
    heads = {"fine": logits, "coarse": logits[::-1], "joint": logits}
    loss, _ = classification_loss(heads, tf.constant([1, 0]), weights=tf.constant([1.0, 0.0]))
    alone, _ = classification_loss({name: value[:1] for name, value in heads.items()}, tf.constant([1]))
    assert float(loss) == pytest.approx(float(alone))


def test_agreement_squared_and_of_logits():
    fine, coarse = tf.math.log([[1.0, 3.0]]), tf.math.log([[3.0, 1.0]])
    assert float(agreement_loss(fine, coarse, squared=True)[0]) == pytest.approx(0.5)
    assert float(agreement_loss(fine, coarse, of="logits")[0]) == pytest.approx(math.sqrt(2) * math.log(3))


def test_the_gradient_of_the_agreement_is_finite_where_both_agree():
    logits = tf.Variable([[0.3, -0.2], [1.0, 2.0]])
    other = tf.constant([[0.3, -0.2], [2.0, 1.0]])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(agreement_loss(logits, other))
    gradient = tape.gradient(loss, logits).numpy()
    np.testing.assert_array_equal(gradient[0], [0.0, 0.0])
    # d/dx of sqrt(2) * (p(other) - p(x)) with p(x) = 1 / (1 + exp(x1 - x0)): sqrt(2) * p * (1 - p).
    p = 1 / (1 + math.exp(1))
    np.testing.assert_allclose(gradient[1], [-math.sqrt(2) * p * (1 - p), math.sqrt(2) * p * (1 - p)], rtol=1e-5)


class TestRegressionLoss:
    LOGITS = {"fine": [[1.0], [2.0]], "coarse": [[3.0], [2.0]], "joint": [[2.0], [0.0]]}  # noqa: RUF012

    def values(self, **options):
        logits = {name: tf.constant(rows) for name, rows in self.LOGITS.items()}
        return regression_loss(logits, tf.constant([1.0, 2.0]), **options)

    def test_squared_errors_and_the_distance_of_the_numbers(self):
        loss, parts = self.values()
        assert {name: float(value) for name, value in parts.items()} == {
            "fine_loss": 0.0, "coarse_loss": 2.0, "joint_loss": 2.5, "agreement_loss": 1.0
        }  # fmt: skip
        assert float(loss) == 5.5
        assert float(self.values(agreement_weight=0.0)[0]) == 4.5

    def test_the_squared_distance_is_an_option(self):
        assert float(self.values(agreement_squared=True)[1]["agreement_loss"]) == 2.0

    def test_a_model_with_one_head(self):
        joint = tf.constant([[2.0]])
        loss, parts = regression_loss({"fine": joint, "joint": joint}, tf.constant([0.5]))
        assert float(loss) == 2.25
        assert list(parts) == ["joint_loss"]


class TestSpanLoss:
    def test_it_is_the_mean_of_start_and_end(self):
        random = np.random.default_rng(0)
        logits = {name: tf.constant(random.normal(size=(3, 5, 2)), tf.float32) for name in ("fine", "coarse", "joint")}
        starts, ends = tf.constant([0, 2, 4]), tf.constant([0, 3, 4])
        loss, parts = span_loss(logits, starts, ends, agreement_weight=0.5)
        ends_of = [
            classification_loss({name: values[:, :, i] for name, values in logits.items()}, positions, 0.5)
            for i, positions in enumerate((starts, ends))
        ]
        assert float(loss) == pytest.approx((float(ends_of[0][0]) + float(ends_of[1][0])) / 2, rel=1e-6)
        for name, value in parts.items():
            assert float(value) == pytest.approx((float(ends_of[0][1][name]) + float(ends_of[1][1][name])) / 2)

    def test_by_hand(self):
        # Two positions, where the correct one has a margin of log 3 and thus probability 3/4.
        values = tf.constant([[[np.log(3.0), 0.0], [0.0, np.log(3.0)]]], tf.float32)
        loss, _ = span_loss({"joint": values}, tf.constant([0]), tf.constant([1]))
        assert float(loss) == pytest.approx(-np.log(0.75), rel=1e-6)


class TestTokenLoss:
    # Two sequences of three positions; the first position and the last one of the second sequence have no tag.
    TAGS = tf.constant([[0, 3, 1], [0, 2, 0]])

    def logits(self):
        shares = [[[1.0, 1, 1], [1, 2, 5], [6, 1, 1]], [[1, 1, 1], [1, 2, 1], [1, 1, 1]]]
        fine = tf.math.log(tf.constant(shares))
        return {"fine": fine, "coarse": tf.zeros_like(fine), "joint": fine}

    def test_the_mean_over_tokens_with_a_tag(self):
        loss, parts = token_loss(self.logits(), self.TAGS, agreement_weight=2.0)
        fine = -(math.log(5 / 8) + math.log(6 / 8) + math.log(2 / 4)) / 3
        apart = sum(
            math.dist(shares, [1 / 3] * 3)
            for shares in ([1 / 8, 2 / 8, 5 / 8], [6 / 8, 1 / 8, 1 / 8], [1 / 4, 2 / 4, 1 / 4])
        )
        assert {name: float(value) for name, value in parts.items()} == pytest.approx(
            {"fine_loss": fine, "coarse_loss": math.log(3), "joint_loss": fine, "agreement_loss": apart / 3}
        )
        assert float(loss) == pytest.approx(2 * fine + math.log(3) + 2 * apart / 3)

    def test_weights_and_one_head(self):
        loss, parts = token_loss({"joint": self.logits()["joint"]}, self.TAGS, weights=tf.constant([0.0, 1.0]))
        assert list(parts) == ["joint_loss"]
        assert float(loss) == pytest.approx(math.log(2))

    def test_a_crf_without_transitions_is_the_same(self):
        logits = self.logits()
        transitions = dict.fromkeys(logits, tf.zeros([4, 4]))
        found, expected = token_loss(logits, self.TAGS, transitions)[1], token_loss(logits, self.TAGS)[1]
        for name, value in expected.items():
            assert float(found[name]) == pytest.approx(float(value), rel=1e-5)
