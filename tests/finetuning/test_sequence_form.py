import numpy as np

from ambert_tf.finetuning.sequence_form import joint_choices


def test_blanks_of_a_group_get_different_choices():
    # Independently, both blanks would choose the first idiom. The second blank loses less by another choice.
    logits = np.array([[5.0, 0.0, 0.0], [4.0, 3.0, 0.0], [4.0, 3.0, 0.0]], np.float32)
    assert joint_choices(logits, [None, None, None]).tolist() == [0, 0, 0]
    assert joint_choices(logits, [7, 7, 8]).tolist() == [0, 1, 0]


def test_groups_are_assigned_by_probabilities_not_logits():
    # All of the first blank's logits are high, which is not evidence for any choice.
    logits = np.array([[100.0, 99.9], [3.0, 0.0]], np.float32)
    assert joint_choices(logits, ["a", "a"]).tolist() == [1, 0]


def test_missing_choices_are_not_chosen():
    logits = np.array([[2.0, 1.0, -1e9], [3.0, 1.0, -1e9]], np.float32)
    assert joint_choices(logits, [1, 1]).tolist() == [1, 0]


def test_more_blanks_than_choices_take_each_the_best():
    logits = np.array([[2.0, 1.0], [3.0, 1.0], [0.0, 1.0]], np.float32)
    assert joint_choices(logits, [1, 1, 1]).tolist() == [0, 0, 1]
    padded = np.concatenate([logits, np.full((3, 2), -1e9, np.float32)], axis=1)
    assert joint_choices(padded, [1, 1, 1]).tolist() == [0, 0, 1]
