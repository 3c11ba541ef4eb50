"""Pre-trains an AMBERT (or one of its alternatives) on records of data/create_pretraining_data.py.

    python run_pretraining.py --input_file='train_records/part-*' --eval_input_file=dev_records/part \
        --tokenizer_dir=tokenizer --config=mini --output_dir=pretrained

Run the same command again to go on from the newest checkpoint. The flags are the fields of `PretrainingSettings`.
"""

from collections.abc import Sequence

from ambert_tf.errors import run_main
from ambert_tf.pretraining.pretraining_settings import PretrainingSettings
from ambert_tf.training.flags import define_flags, settings_from_flags

define_flags(PretrainingSettings)


def main(argv: Sequence[str]) -> None:
    del argv
    from ambert_tf.pretraining.pretraining import run_pretraining

    run_pretraining(settings_from_flags(PretrainingSettings))


if __name__ == "__main__":
    run_main(main)
