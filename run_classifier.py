"""Fine-tunes, evaluates and predicts with a classifier: CLUE's and GLUE's tasks, RACE, or data of your own.

    python run_classifier.py --task_name=tnews --data_dir=tnews --init_checkpoint=pretrained \
        --do_train --do_eval --do_predict --output_dir=classifier

Sentences, pairs, scores and multiple choice; span extraction is run_squad.py's. Data of your own are JSON lines or
tables: `--task_name=sentence` reads `sentence` and `label`, `--task_name=sentence_pair` reads `sentence1`, `sentence2`
and `label`, from train.json, dev.json and test.json (or .jsonl, .csv, .tsv) in --data_dir. The flags are the fields of
`ClassificationSettings`; what is not given is the task's: the command with --task_name alone trains and evaluates
where data and a pre-trained model are in their default place.
"""

from collections.abc import Sequence

from ambert_tf.errors import run_main
from ambert_tf.finetuning.classification_settings import ClassificationSettings
from ambert_tf.training.flags import define_flags, settings_from_flags

define_flags(ClassificationSettings)


def main(argv: Sequence[str]) -> None:
    del argv
    from ambert_tf.finetuning.classification import run_classifier

    run_classifier(settings_from_flags(ClassificationSettings))


if __name__ == "__main__":
    run_main(main)
