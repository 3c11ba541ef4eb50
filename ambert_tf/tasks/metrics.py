"""The tasks' official metrics, computed with scikit-learn and SciPy."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

Metric = Callable[[np.ndarray, np.ndarray, int], float]


def accuracy(predicted: np.ndarray, right: np.ndarray, positive: int) -> float:
    """Fraction of correct predictions."""
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(right, predicted))


def f1(predicted: np.ndarray, right: np.ndarray, positive: int) -> float:
    """F1 of the positive label (GLUE's MRPC and QQP)."""
    from sklearn.metrics import f1_score

    return float(f1_score(right == positive, predicted == positive, zero_division=0.0))


def macro_f1(predicted: np.ndarray, right: np.ndarray, positive: int) -> float:
    """Unweighted mean of the labels' F1 scores."""
    from sklearn.metrics import f1_score

    return float(f1_score(right, predicted, average="macro", zero_division=0.0))


def matthews_correlation(predicted: np.ndarray, right: np.ndarray, positive: int) -> float:
    """Matthews correlation coefficient (GLUE's CoLA); 0 if only one label is predicted."""
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(right, predicted))


def pearson(predicted: np.ndarray, right: np.ndarray, positive: int) -> float:
    """Pearson correlation (GLUE's STS-B); 0 if it is undefined because the predictions are constant."""
    from scipy.stats import pearsonr

    return _correlation(lambda: pearsonr(predicted, right)[0], predicted, right)


def spearman(predicted: np.ndarray, right: np.ndarray, positive: int) -> float:
    """Spearman rank correlation (GLUE's STS-B); 0 if it is undefined because the predictions are constant."""
    from scipy.stats import spearmanr

    return _correlation(lambda: spearmanr(predicted, right)[0], predicted, right)


def _correlation(compute: Callable[[], float], predicted: np.ndarray, right: np.ndarray) -> float:
    if len(right) < 2 or np.ptp(predicted) == 0 or np.ptp(right) == 0:
        return 0.0
    value = float(compute())
    return value if math.isfinite(value) else 0.0


METRICS: Mapping[str, Metric] = {
    metric.__name__: metric for metric in (accuracy, f1, macro_f1, matthews_correlation, pearson, spearman)
}


def score(names: Sequence[str], predicted: np.ndarray, right: np.ndarray, positive: int = 1) -> dict[str, float]:
    """Returns scores by name.

    Args:
      names: keys of `METRICS`.
      predicted: [examples], label indices or scores.
      right: [examples], the gold labels or scores.
      positive: index of the positive label, for `f1`.
    """
    return {name: METRICS[name](predicted, right, positive) for name in names}
