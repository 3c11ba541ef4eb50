import pytest

from ambert_tf.training.learning_rate import SCHEDULES, WarmupCosineDecay, WarmupLinearDecay, WarmupStableDecay
from ambert_tf.training.settings import SCHEDULES as NAMES


def rates(schedule, steps):
    return [float(schedule(step)) for step in steps]


def test_linear_decay_is_that_of_bert():
    steps = (0, 5, 9, 10, 55, 100, 120)
    expected = [0.0, 0.5, 0.9, 0.9, 0.45, 0.0, 0.0]
    assert rates(WarmupLinearDecay(1.0, num_train_steps=100, num_warmup_steps=10), steps) == pytest.approx(expected)
    assert float(WarmupLinearDecay(1.0, 100)(0)) == 1.0


def test_cosine_decay_is_half_a_cosine_after_the_warmup():
    steps = (0, 5, 10, 40, 55, 70, 100, 120)
    expected = [0.0, 1.0, 2.0, 1.5, 1.0, 0.5, 0.0, 0.0]
    assert rates(WarmupCosineDecay(2.0, num_train_steps=100, num_warmup_steps=10), steps) == pytest.approx(expected)


def test_wsd_is_constant_until_the_last_tenth():
    steps = (0, 5, 10, 50, 90, 95, 99, 100, 120)
    expected = [0.0, 1.0, 2.0, 2.0, 2.0, 1.0, 0.2, 0.0, 0.0]
    assert rates(WarmupStableDecay(2.0, num_train_steps=100, num_warmup_steps=10), steps) == pytest.approx(
        expected, abs=1e-6
    )


def test_the_flag_offers_every_schedule():
    assert tuple(SCHEDULES) == NAMES
