"""The flags of `run_classifier.py` as values."""

import dataclasses

from ambert_tf.tasks.fine_tuning_settings import FineTuningSettings
from ambert_tf.training.settings import setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassificationSettings(FineTuningSettings):
    """The flags of `run_classifier.py`, under their names."""

    task_name: str = setting("", "The task: tnews; sentence, sentence_pair or reviews for data of your own.")
    data_augmentation: bool = setting(True, "The paper's data augmentation (Appendix D), where the task has one.")
