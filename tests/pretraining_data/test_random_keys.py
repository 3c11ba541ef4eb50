import numpy as np
import tensorflow as tf

from ambert_tf.pretraining_data.random_keys import fold, seed_key, tf_fold, tf_uniform, tf_uniform_below


def test_a_fold_depends_on_key_and_number_only():
    alone = [int(fold(seed_key(7), number)) for number in (0, 1, 2**40)]
    together = fold(seed_key(7), np.array([0, 1, 2**40]))
    assert alone == together.tolist()
    assert len({*alone, int(fold(seed_key(8), 0)), int(fold(fold(seed_key(7), 0), 0))}) == 5


def test_numpy_and_tensorflow_give_equal_keys():
    numbers = np.array([0, 1, 2, 12345, 2**31, 2**62])
    key = seed_key(-3)
    np.testing.assert_array_equal(fold(key, numbers), tf_fold(tf.constant(key), tf.constant(numbers)).numpy())


def test_negative_seeds_have_different_keys():
    assert len({int(seed_key(seed)) for seed in range(-500, 500)}) == 1000


def test_draws_of_neighbouring_keys_are_uniform_and_independent():
    draws = tf_uniform(tf.constant(fold(fold(seed_key(0), np.arange(200)[:, None]), np.arange(500)))).numpy()
    assert draws.min() >= 0 and draws.max() < 1
    assert abs(draws.mean() - 0.5) < 0.004
    assert abs(draws.var() - 1 / 12) < 0.002
    # No correlation along a sequence or between neighbouring sequences.
    assert abs(np.corrcoef(draws[:, :-1].ravel(), draws[:, 1:].ravel())[0, 1]) < 0.015
    assert abs(np.corrcoef(draws[:-1].ravel(), draws[1:].ravel())[0, 1]) < 0.015


def test_draws_below_a_count_are_uniform():
    draws = tf_uniform_below(tf.constant(fold(seed_key(1), np.arange(70_000))), 7).numpy()
    counts = np.bincount(draws, minlength=7)
    assert len(counts) == 7
    assert counts.min() > 9_600 and counts.max() < 10_400
