import numpy as np

from ambert_tf.finetuning.sequence_form import joint_choices


def test_blanks_of_a_group_get_different_choices():
    # Alone, both blanks would take the first idiom; the second one loses less by going without it.
    logits = np.array([[5.0, 0.0, 0.0], [4.0, 3.0, 0.0], [4.0, 3.0, 0.0]], np.float32)
    assert joint_choices(logits, [None, None, None]).tolist() == [0, 0, 0]
    assert joint_choices(logits, [7, 7, 8]).tolist() == [0, 1, 0]


def test_probabilities_count_and_not_logits():
    # All of the first blank's logits are high: that says nothing about it.
    logits = np.array([[100.0, 99.9], [3.0, 0.0]], np.float32)
    assert joint_choices(logits, ["a", "a"]).tolist() == [1, 0]


def test_a_choice_that_is_not_there_is_not_taken():
    logits = np.array([[2.0, 1.0, -1e9], [3.0, 1.0, -1e9]], np.float32)
    assert joint_choices(logits, [1, 1]).tolist() == [1, 0]


def test_more_blanks_than_choices_take_each_the_best():
    logits = np.array([[2.0, 1.0], [3.0, 1.0], [0.0, 1.0]], np.float32)
    assert joint_choices(logits, [1, 1, 1]).tolist() == [0, 0, 1]
