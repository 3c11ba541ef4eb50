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

    doc_stride: int = setting(
        None, "Stride, in fine tokens, between windows of a long context. Defaults to the task's."
    )
    max_query_length: int = setting(
        None, "Maximum number of fine tokens of a question; longer ones are truncated. Defaults to the task's."
    )
    max_answer_length: int = setting(None, "Maximum number of fine tokens of an answer. Defaults to the task's.")
    n_best_size: int = setting(
        20, "Number of n-best predictions to write per question, and of start and end positions to search per window."
    )
    null_score_diff_threshold: float = setting(
        0.0, "Predict no answer if its score exceeds the best answer's by more than this; squad2."
    )

    def validate(self) -> None:
        super().validate()
        at_least(self, 1, "doc_stride", "max_query_length", "max_answer_length", "n_best_size")
