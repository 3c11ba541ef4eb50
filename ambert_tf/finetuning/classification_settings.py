"""The flags of `run_classifier.py` as values."""

import dataclasses

from ambert_tf.finetuning.fine_tuning_settings import FineTuningSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassificationSettings(FineTuningSettings):
    """The flags of `run_classifier.py`, under their names."""
