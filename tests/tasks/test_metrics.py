import numpy as np
import pytest

from ambert_tf.models.task_config import CLASSIFICATION, MULTIPLE_CHOICE, REGRESSION
from ambert_tf.tasks.declaration import FORM_METRICS
from ambert_tf.tasks.metrics import METRICS, score


def test_a_worked_example():
    predicted, right = np.array([1, 1, 0, 1, 0, 0]), np.array([1, 0, 0, 1, 1, 0])
    # By hand: two true positives, one false positive, one false negative, two true negatives.
    assert score(("accuracy", "f1"), predicted, right) == {
        "accuracy": pytest.approx(4 / 6), "f1": pytest.approx(2 / 3)
    }  # fmt: skip
    assert score(("matthews_correlation",), predicted, right) == {"matthews_correlation": pytest.approx(3 / 9)}


def test_every_metric_can_be_declared():
    forms = (CLASSIFICATION, REGRESSION, MULTIPLE_CHOICE)
    assert {name for form in forms for name in FORM_METRICS[form]} == set(METRICS)


def test_f1_is_of_the_positive_label():
    predicted, right = np.array([0, 0, 1]), np.array([0, 1, 1])
    assert score(("f1",), predicted, right, positive=0)["f1"] == pytest.approx(2 / 3)


def test_correlations():
    predicted, right = np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0])
    results = score(("pearson", "spearman"), predicted, right)
    assert results["spearman"] == pytest.approx(1.0)
    assert results["pearson"] == pytest.approx(3 / np.sqrt(2 * 14 / 3))


def test_undefined_metrics_are_zero():
    same = np.array([2.0, 2.0, 2.0])
    assert score(("pearson", "spearman"), same, np.array([1.0, 2.0, 3.0])) == {"pearson": 0.0, "spearman": 0.0}
    assert score(("matthews_correlation",), np.array([1, 1]), np.array([0, 1])) == {"matthews_correlation": 0.0}
    assert score(("f1",), np.array([0, 0]), np.array([0, 0])) == {"f1": 0.0}
