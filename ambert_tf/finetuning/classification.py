"""Fine-tuning, evaluation and prediction of classifiers: what `run_classifier.py` does."""

from typing import Any

from ambert_tf.finetuning.classification_settings import ClassificationSettings
from ambert_tf.finetuning.fine_tuning import run_fine_tuning


def run_classifier(settings: ClassificationSettings) -> dict[str, Any]:
    """Fine-tunes, evaluates and predicts with one prediction a sequence; see `run_fine_tuning`."""
    return run_fine_tuning(settings)
