import pytest

from ambert_tf.tasks.sequence_labelling_metrics import confused_labels, entity_scores, word_scores
from ambert_tf.tasks.tagging_schemes import Span

RIGHT = [[Span(0, 2, "PER"), Span(3, 5, "LOC")], [Span(1, 4, "ORG")], []]
# One is right, one has a wrong label, one a wrong end, one is made up.
PREDICTED = [[Span(0, 2, "PER"), Span(3, 5, "ORG")], [Span(1, 3, "ORG")], [Span(0, 1, "PER")]]


def test_entities():
    # By hand: 1 of 4 predicted entities and 1 of 3 right ones; PER: 1 of 2 and 1 of 1.
    assert entity_scores(PREDICTED, RIGHT) == pytest.approx(
        {"precision": 1 / 4, "recall": 1 / 3, "f1": 2 / 7, "f1_LOC": 0.0, "f1_ORG": 0.0, "f1_PER": 2 / 3}
    )
    assert entity_scores(RIGHT, RIGHT)["f1"] == 1.0
    assert entity_scores([[]], [[]]) == {"precision": 0.0, "recall": 0.0, "f1": 0.0}


def test_confused_labels():
    assert confused_labels(PREDICTED, RIGHT) == {("LOC", "ORG"): 1}


def test_words():
    text = "共同创造美好的"
    right = [Span(0, 2, ""), Span(2, 4, ""), Span(4, 6, ""), Span(6, 7, "")]
    predicted = [Span(0, 2, ""), Span(2, 4, ""), Span(4, 7, "")]
    # By hand: 2 of 3 predicted words and 2 of 4 right ones; of the unknown 创造 and 美好, the first is found.
    assert word_scores([text], [predicted], [right], {"共同", "的"}) == pytest.approx(
        {"precision": 2 / 3, "recall": 1 / 2, "f1": 4 / 7, "oov_rate": 1 / 2, "oov_recall": 1 / 2}
    )
