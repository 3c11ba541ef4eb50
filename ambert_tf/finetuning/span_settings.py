"""The flags of `run_squad.py` as values."""

import dataclasses

from ambert_tf.finetuning.fine_tuning_settings import FineTuningSettings
from ambert_tf.flags import at_least, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpanSettings(FineTuningSettings):
    """Fine-tunes, evaluates and predicts for extractive question answering: SQuAD, CMRC2018, or your own data.

        python run_squad.py --task_name=cmrc2018 --data_dir=cmrc2018 --init_checkpoint=pretrained \\
            --do_train --do_eval --do_predict --output_dir=reader

    --task_name=spans reads SQuAD's JSON from train.json, dev.json and test.json. Flags that are not given take the
    task's values.
    """

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
