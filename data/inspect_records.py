"""Prints pre-training records: both grains aligned, masked tokens as {original→shown}, kept ones as
{original}.

    python data/inspect_records.py train_records/part-00000-of-00064 --num_records=3
"""

from collections.abc import Sequence

from absl import flags

from ambert_tf.errors import run_main
from ambert_tf.files import input_files
from ambert_tf.pretraining_data.inspect_records import print_records

FLAGS = flags.FLAGS

flags.DEFINE_string(
    "input_file",
    None,
    "TFRecord files, where they are not named without a flag; with commas between, patterns too.",
)
flags.DEFINE_string(
    "tokenizer_dir", None, "The tokenizer directory that the records were made with; by default as in their stats.json."
)
flags.DEFINE_integer("num_records", 3, "How many records to print.", lower_bound=1)
flags.DEFINE_integer("first_record", 0, "How many records to pass over.", lower_bound=0)
flags.DEFINE_bool("table", True, "A line for each coarse token; otherwise three lines for each record.")


def main(argv: Sequence[str]) -> None:
    """Prints the records that the arguments and flags name."""
    files = input_files(FLAGS.input_file or ",".join(argv[1:]), "input_file")
    print_records(files, FLAGS.tokenizer_dir, FLAGS.first_record, FLAGS.num_records, FLAGS.table)


if __name__ == "__main__":
    run_main(main, takes_files=True)
