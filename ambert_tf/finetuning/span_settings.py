"""The flags of `run_squad.py` as values."""

import dataclasses

from ambert_tf.finetuning.fine_tuning_settings import FineTuningSettings
from ambert_tf.training.settings import at_least, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpanSettings(FineTuningSettings):
    """The flags of `run_squad.py`, under their names: BERT's."""

    doc_stride: int = setting(None, "Fine tokens between the beginnings of two windows on a long context.")
    max_query_length: int = setting(None, "Fine tokens of a question at most; a longer one is cut.")
    max_answer_length: int = setting(None, "Fine tokens of an answer at most.")
    n_best_size: int = setting(20, "Answers to write a question, and positions to search from in a window.")
    null_score_diff_threshold: float = setting(
        0.0, "No answer is given where it scores higher than the best answer by more than this; squad2."
    )

    def validate(self) -> None:
        super().validate()
        at_least(self, 1, "doc_stride", "max_query_length", "max_answer_length", "n_best_size")
