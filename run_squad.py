"""Fine-tunes, evaluates and predicts answers to questions: SQuAD 1.1 and 2.0, CMRC2018, or data of your own.

    python run_squad.py --task_name=cmrc2018 --data_dir=cmrc2018 --init_checkpoint=pretrained \
        --do_train --do_eval --do_predict --output_dir=reader

`--task_name=spans` reads SQuAD's JSON from train.json, dev.json and test.json. The flags are the fields of
`SpanSettings`; what is not given is the task's.
"""

from collections.abc import Sequence

from ambert_tf.errors import run_main
from ambert_tf.finetuning.span_settings import SpanSettings
from ambert_tf.training.flags import define_flags, settings_from_flags

define_flags(SpanSettings)


def main(argv: Sequence[str]) -> None:
    del argv
    from ambert_tf.finetuning.fine_tuning import run_fine_tuning

    run_fine_tuning(settings_from_flags(SpanSettings))


if __name__ == "__main__":
    run_main(main)
