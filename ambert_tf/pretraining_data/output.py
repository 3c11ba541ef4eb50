"""What every runner does about the files it makes: it mixes no shards of different runs, and shows some examples."""

import os
import sys
from collections.abc import Iterable

import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.pretraining_data.display import describe_record
from ambert_tf.pretraining_data.examples import decode_example
from ambert_tf.pretraining_data.options import CreateOptions
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

_LOGGED_EXAMPLES = 5


def refuse_other_shards(options: CreateOptions, names: Iterable[str]) -> None:
    """Checks the names of the files that are in the output's directory already.

    Raises:
      InputError: one is a shard of a run with another number of shards.
    """
    output = os.path.basename(options.output_file)
    ours = {os.path.basename(name) for name in options.shard_names()}
    for name in sorted(names):
        numbers = name.removeprefix(f"{output}-").split("-of-")
        if name != output and name not in ours and len(numbers) == 2 and all(map(str.isdecimal, numbers)):
            raise InputError(
                f"--output_file={options.output_file}: {name} is a shard of another run, which "
                "readers would take for a part of this one; remove it, or give another name"
            )


def log_examples(options: CreateOptions, tokenizer: MultiGrainedTokenizer) -> None:
    """Prints the first records of the first shard to standard error."""
    compression = "GZIP" if options.compression == "gzip" else ""
    records = tf.data.TFRecordDataset(options.shard_names()[0], compression).take(_LOGGED_EXAMPLES)
    fine_vocab, coarse_vocab = tokenizer.fine_vocab, tokenizer.coarse_vocab
    for number, record in enumerate(records):
        text = describe_record(decode_example(record.numpy()), fine_vocab, coarse_vocab)
        print(f"example {number}: {text}", file=sys.stderr)
