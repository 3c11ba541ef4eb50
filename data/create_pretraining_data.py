"""Makes masked pre-training examples at both grains from a corpus.

python data/create_pretraining_data.py --input_file='corpus/*.txt' --tokenizer_dir=tokenizer \
    --output_file=examples/zh.tfrecord --num_shards=8 --max_seq_length=128
"""

import dataclasses

from absl import flags

from ambert_tf.corpus.corpus_flags import define_corpus_flags
from ambert_tf.corpus.sources import CorpusOptions
from ambert_tf.errors import run_main
from ambert_tf.pretraining_data.options import COMPRESSIONS, ERRORS, MASKINGS, CreateOptions
from ambert_tf.pretraining_data.runners import RUNNERS, run

FLAGS = flags.FLAGS

define_corpus_flags()
flags.DEFINE_string(
    "output_file", None,
    "TFRecord file to write; with several shards NAME-00000-of-00008 and so on. stats.json goes beside it.",
)  # fmt: skip
flags.DEFINE_string("tokenizer_dir", None, "The tokenizer directory, as data/build_vocab.py makes it.")
flags.DEFINE_integer("max_seq_length", 512, "Most fine tokens of a sequence, [CLS] and [SEP] included.")
flags.DEFINE_integer("max_coarse_seq_length", None, "Most coarse tokens of a sequence; --max_seq_length by default.")
flags.DEFINE_integer(
    "max_predictions_per_seq", None,
    "Most masked tokens of a sequence, in each grain; by default enough for --masked_lm_prob.",
)  # fmt: skip
flags.DEFINE_integer(
    "max_coarse_predictions_per_seq",
    None,
    "Most masked coarse tokens of a sequence; --max_predictions_per_seq by default.",
)
flags.DEFINE_float(
    "masked_lm_prob", 0.15, "Share of the coarse tokens to mask; the fine tokens in them are masked too."
)
flags.DEFINE_integer(
    "dupe_factor",
    None,
    "How often to go over the corpus, with other sequences and masks; 10 by default, 1 with dynamic masks.",
)
flags.DEFINE_float("short_seq_prob", 0.1, "Share of the sequences that are made shorter than they could be.")
flags.DEFINE_bool("do_nsp", False, "Make two segments of each sequence, for next sentence prediction.")
flags.DEFINE_integer("random_seed", 12345, "Gives everything random; the same seed makes the same files.")
flags.DEFINE_integer("num_shards", 1, "Number of files to write.")
flags.DEFINE_integer("num_workers", None, "Number of processes; by default one a core, fewer for small corpora.")
flags.DEFINE_enum(
    "masking", "static", MASKINGS, "static: mask now. dynamic: run_pretraining.py masks, anew in each epoch."
)
flags.DEFINE_enum("compression", "none", COMPRESSIONS, "Compression of the files.")
flags.DEFINE_enum(
    "errors", "strict", ERRORS, "A line that is not UTF-8 is an error, or has U+FFFD put in and is counted."
)
flags.DEFINE_bool("resume", False, "Go on with an interrupted run of the same flags.")
flags.DEFINE_enum("runner", "local", RUNNERS, "local: this machine. beam: Apache Beam, which runs on clusters too.")
flags.DEFINE_multi_string(
    "beam_options", [],
    "Flags of Beam's pipeline, commas between, or repeated: --beam_options=--runner=FlinkRunner,--parallelism=64",
)  # fmt: skip
flags.mark_flags_as_required(["output_file", "tokenizer_dir"])


def main(_) -> None:
    """Creates the data that the flags describe and prints what there is of it."""
    names = {field.name for field in dataclasses.fields(CreateOptions)} - {"input_files"}
    corpus = CorpusOptions(**{name: FLAGS[name].value for name in CorpusOptions.__dataclass_fields__})
    options = CreateOptions(input_files=tuple(corpus.source_names()), **{name: FLAGS[name].value for name in names})
    stats = run(options, FLAGS.runner, FLAGS.beam_options)
    for name in ("documents", "sequences", "fine_tokens", "coarse_tokens"):
        print(f"{name:<14} {stats[name]:>15,}")


if __name__ == "__main__":
    run_main(main)
