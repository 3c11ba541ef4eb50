"""The flags of `run_classifier.py` as values."""

import dataclasses

from ambert_tf.finetuning.fine_tuning_settings import FineTuningSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassificationSettings(FineTuningSettings):
    """Fine-tunes, evaluates and predicts with a classifier: CLUE's and GLUE's tasks, RACE, or your own data.

        python run_classifier.py --task_name=tnews --data_dir=tnews --init_checkpoint=pretrained \\
            --do_train --do_eval --do_predict --output_dir=classifier

    Supports single sentences, pairs, regression and multiple choice; run_squad.py does span extraction. Your own data
    are JSON lines or tables: --task_name=sentence reads `sentence` and `label`, --task_name=sentence_pair reads
    `sentence1`, `sentence2` and `label`, from train.json, dev.json and test.json (or .jsonl, .csv, .tsv) in --data_dir.
    Flags that are not given take the task's values. With --task_name alone the command trains and evaluates, if data
    and pre-trained model are in their default locations.
    """
