"""The settings of `data/create_pretraining_data.py` and `data/inspect_records.py`. Does not import TensorFlow."""

import dataclasses
import os

from ambert_tf.corpus.sources import CorpusSettings
from ambert_tf.errors import InputError
from ambert_tf.files import is_directory
from ambert_tf.flags import at_least, check_choices, require, setting

MASKINGS = ("static", "dynamic")
COMPRESSIONS = ("none", "gzip")
RUNNERS = ("local", "beam")

# BERT's default for static masks. Dynamic masks differ in each epoch anyway.
_STATIC_DUPE_FACTOR = 10
_MIN_LENGTH = 8
_MAX_SHARDS = 99_999  # shard names have five digits


@dataclasses.dataclass(frozen=True, kw_only=True)
class CreationSettings(CorpusSettings):
    """Creates pre-training examples at both grains from a corpus.

        python data/create_pretraining_data.py --input_file='corpus/*.txt' --tokenizer_dir=tokenizer \\
            --output_file=records/part --num_shards=8 --max_seq_length=128

    Writes the TFRecord files and, next to them, stats.json and tokenizer/, a copy of the tokenizer directory. Prints
    the number of documents, sequences and tokens. The same flags always produce the same files.
    """

    output_file: str = setting("", "TFRecord file to write. Several shards are named NAME-00000-of-00008, etc.")
    tokenizer_dir: str = setting("", "Tokenizer directory, written by data/build_vocab.py.")
    max_seq_length: int = setting(512, "Maximum fine sequence length, including [CLS] and [SEP].")
    max_coarse_seq_length: int | None = setting(None, "Maximum coarse sequence length. Defaults to --max_seq_length.")
    max_predictions_per_seq: int | None = setting(
        None, "Maximum masked tokens per sequence and grain. Defaults to enough for --masked_lm_prob."
    )
    max_coarse_predictions_per_seq: int | None = setting(
        None, "Maximum masked coarse tokens per sequence. Defaults to --max_predictions_per_seq."
    )
    masked_lm_prob: float = setting(
        0.15, "Masked LM probability: fraction of coarse tokens to mask, with the fine tokens inside them."
    )
    dupe_factor: int | None = setting(
        None,
        "Number of times to duplicate the input data, with different sequences and masks. Defaults to 10, or 1 with "
        "--masking=dynamic.",
    )
    short_seq_prob: float = setting(0.1, "Probability of creating sequences that are shorter than the maximum length.")
    do_nsp: bool = setting(False, "Create two segments per sequence, for next sentence prediction.")
    random_seed: int = setting(12345, "Random seed. Output is deterministic.")
    num_shards: int = setting(1, "Number of files to write.")
    num_workers: int | None = setting(None, "Number of processes. Defaults to one per core, fewer for small corpora.")
    masking: str = setting(
        "static", "Mask now (static), or let run_pretraining.py mask differently in each epoch (dynamic).", MASKINGS
    )
    compression: str = setting("none", "Compression of the files.", COMPRESSIONS)
    resume: bool = setting(False, "Resume an interrupted run with the same flags.")
    runner: str = setting("local", "Run on this machine (local) or with Apache Beam, e.g. on a cluster.", RUNNERS)
    beam_options: tuple[str, ...] = setting(
        (),
        "Beam pipeline options, separated by commas or as repeated flags: "
        "--beam_options=--runner=FlinkRunner,--parallelism=64",
        repeated=True,
    )

    def validate(self) -> None:
        """Raises an InputError if a value is out of range or flags are incompatible."""
        require(self, "output_file", "tokenizer_dir")
        check_choices(self)
        at_least(self, _MIN_LENGTH, "max_seq_length", "max_coarse_seq_length")
        at_least(self, 1, "max_predictions_per_seq", "max_coarse_predictions_per_seq")
        at_least(self, 1, "dupe_factor", "num_shards", "num_workers")
        if self.num_shards > _MAX_SHARDS:
            raise InputError(f"--num_shards={self.num_shards}: must be at most {_MAX_SHARDS}")
        if not 0 < self.masked_lm_prob < 1:
            raise InputError(f"--masked_lm_prob={self.masked_lm_prob}: must be between 0 and 1, such as 0.15")
        if not 0 <= self.short_seq_prob <= 1:
            raise InputError(f"--short_seq_prob={self.short_seq_prob}: must be between 0 and 1, such as 0.1")
        if not os.path.basename(self.output_file) or is_directory(self.output_file):
            raise InputError(f"--output_file={self.output_file}: is a directory; name a file in it")
        if self.beam_options and self.runner != "beam":
            raise InputError(f"--beam_options={','.join(self.beam_options)}: is for --runner=beam")
        for flag, given in (("num_workers", self.num_workers is not None), ("resume", self.resume)):
            if given and self.runner != "local":
                raise InputError(f"--{flag}: is for --runner=local; use --beam_options for Beam's own options")

    @property
    def effective_dupe_factor(self) -> int:
        """The number of times the corpus is packed and masked."""
        return self.dupe_factor or (_STATIC_DUPE_FACTOR if self.masking == "static" else 1)

    def shard_names(self) -> list[str]:
        """Returns the names of the files to write. As in BERT, a single file is `output_file` itself."""
        if self.num_shards == 1:
            return [self.output_file]
        return [f"{self.output_file}-{shard:05d}-of-{self.num_shards:05d}" for shard in range(self.num_shards)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class InspectionSettings:
    """Prints pre-training records with both grains aligned, masked tokens as {original→shown}, kept ones as {original}.

        python data/inspect_records.py records/part-00000-of-00064 --num_records=3

    The tokenizer is the copy next to the records, unless --tokenizer_dir names another directory.
    """

    input_file: tuple[str, ...] = setting(
        (), "TFRecord files or patterns, separated by commas. --input_file= may be omitted.", arguments=True
    )
    tokenizer_dir: str | None = setting(
        None, "Tokenizer directory. Defaults to tokenizer/ next to the records, or the one named in their stats.json."
    )
    num_records: int = setting(3, "Number of records to print.")
    first_record: int = setting(0, "Number of records to skip.")
    table: bool = setting(True, "Print one line per coarse token, rather than three lines per record.")

    def validate(self) -> None:
        """Raises an InputError if a value is out of range."""
        at_least(self, 1, "num_records")
        at_least(self, 0, "first_record")
