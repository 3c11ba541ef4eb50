import pytest

from ambert_tf.tasks.squad_metrics import best_threshold, exact_match, f1, normalized, question_scores


@pytest.mark.parametrize(
    ("text", "expected"),
    [("The Denver Broncos!", "denver broncos"), ("a  cat,\nan owl", "cat owl"), ("theatre", "theatre"), ("U.S.", "us")],
)
def test_normalized(text, expected):
    assert normalized(text) == expected


def test_worked_examples():
    assert exact_match("the Broncos.", "Broncos") == 1
    assert exact_match("Broncos", "Denver Broncos") == 0
    # Precision is 2/3 and recall is 1: 2 * (2/3) * 1 / (2/3 + 1).
    assert f1("Denver Broncos team", "Denver Broncos") == pytest.approx(0.8)
    # A word counts as often as it occurs in both answers.
    assert f1("new new york", "new york york") == pytest.approx(2 / 3)
    assert f1("x", "y") == 0
    assert f1("", "") == 1
    assert f1("the", "x") == 0


def test_the_best_of_several_answers_counts():
    assert question_scores("Santa Clara", ["Levi's Stadium", "Santa Clara, California"]) == {
        "exact_match": 0, "f1": pytest.approx(0.8)
    }  # fmt: skip
    assert question_scores("", []) == {"exact_match": 1, "f1": 1}
    # Gold answers without words are ignored if there are others.
    assert question_scores("", ["the", "x"]) == {"exact_match": 0, "f1": 0}


def test_best_threshold():
    scores = {"a": 1.0, "b": 0.5, "c": 0.0, "d": 0.0}
    odds = {"a": -3.0, "b": -1.0, "c": 2.0, "d": -2.0}
    answerable = {"a": True, "b": True, "c": False, "d": False}
    # By hand, the total score is 2 if none are answered, 3 up to -3, 2 up to -2, 2.5 up to -1, and 1.5 up to 2.
    assert best_threshold(scores, odds, answerable) == (0.75, -3.0)
