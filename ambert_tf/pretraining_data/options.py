"""What `data/create_pretraining_data.py` is asked for: the flags as one object."""

import dataclasses
import json
import os
from typing import Any

from ambert_tf.corpus.sources import source_version
from ambert_tf.errors import InputError
from ambert_tf.pretraining_data.masking import MaskingRule
from ambert_tf.pretraining_data.packing import PackingRule
from ambert_tf.pretraining_data.record_maker import RecordMaker
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

MASKINGS = ("static", "dynamic")
COMPRESSIONS = ("none", "gzip")
ERRORS = ("strict", "replace")

# BERT's; records that are masked when they are read are masked differently each time anyway.
_STATIC_DUPE_FACTOR = 10
_LEAST_LENGTH = 8


@dataclasses.dataclass(frozen=True)
class CreateOptions:
    """Options of data creation; each is the flag of its name.

    Attributes:
      input_files: the corpus: names as `sources.corpus_names` gives them.
      output_file: the file of records; with several shards, what their names begin with.
      tokenizer_dir: the tokenizer directory.
      max_seq_length: most fine tokens of a sequence.
      max_coarse_seq_length: most coarse tokens; `max_seq_length` when left out.
      max_predictions_per_seq: most masked tokens of each grain of a sequence; practically no limit when left
        out.
      max_coarse_predictions_per_seq: most masked coarse tokens.
      masked_lm_prob: share of the coarse tokens that is masked.
      dupe_factor: how often the corpus is packed and masked; 10 with static masks, 1 with dynamic ones.
      short_seq_prob: share of sequences that are given a shorter length to fill.
      do_nsp: make two segments of each sequence, for next sentence prediction.
      random_seed: gives all draws.
      num_shards: number of files to write.
      num_workers: number of processes; as many as there are cores, fewer for small corpora, when left out.
      masking: "static", or "dynamic" to leave masking to the reader.
      compression: "none" or "gzip".
      errors: "strict" or "replace", for lines that are not UTF-8.
      resume: go on with an interrupted run.
    """

    input_files: tuple[str, ...]
    output_file: str
    tokenizer_dir: str
    max_seq_length: int = 512
    max_coarse_seq_length: int | None = None
    max_predictions_per_seq: int | None = None
    max_coarse_predictions_per_seq: int | None = None
    masked_lm_prob: float = 0.15
    dupe_factor: int | None = None
    short_seq_prob: float = 0.1
    do_nsp: bool = False
    random_seed: int = 12345
    num_shards: int = 1
    num_workers: int | None = None
    masking: str = "static"
    compression: str = "none"
    errors: str = "strict"
    resume: bool = False

    def validate(self) -> None:
        """Checks the options against each other.

        Raises:
          InputError: one of them makes no sense.
        """
        for flag in ("max_seq_length", "max_coarse_seq_length"):
            self._at_least(flag, _LEAST_LENGTH)
        for flag in ("max_predictions_per_seq", "max_coarse_predictions_per_seq"):
            self._at_least(flag, 1)
        for flag in ("dupe_factor", "num_shards", "num_workers"):
            self._at_least(flag, 1)
        if not 0 < self.masked_lm_prob < 1:
            raise InputError(f"--masked_lm_prob={self.masked_lm_prob}: must lie between 0 and 1, such as 0.15")
        if not 0 <= self.short_seq_prob <= 1:
            raise InputError(f"--short_seq_prob={self.short_seq_prob}: must lie between 0 and 1, such as 0.1")
        for flag, allowed in (("masking", MASKINGS), ("compression", COMPRESSIONS), ("errors", ERRORS)):
            if getattr(self, flag) not in allowed:
                raise InputError(f"--{flag}={getattr(self, flag)}: must be one of {', '.join(allowed)}")
        if os.path.isdir(self.output_file) or not os.path.basename(self.output_file):
            raise InputError(f"--output_file={self.output_file}: is a directory; give the name of a file in it")

    def _at_least(self, flag: str, least: int) -> None:
        value = getattr(self, flag)
        if value is not None and value < least:
            raise InputError(f"--{flag}={value}: must be at least {least}")

    @property
    def effective_dupe_factor(self) -> int:
        """How often the corpus is packed and masked."""
        return self.dupe_factor or (_STATIC_DUPE_FACTOR if self.masking == "static" else 1)

    def shard_names(self) -> list[str]:
        """Returns the names of the files to write: `output_file` itself where it is one, as with BERT."""
        if self.num_shards == 1:
            return [self.output_file]
        return [f"{self.output_file}-{shard:05d}-of-{self.num_shards:05d}" for shard in range(self.num_shards)]

    def record_maker(self, tokenizer: MultiGrainedTokenizer) -> RecordMaker:
        """Returns the function that makes the records of a unit."""
        packing = PackingRule(
            max_seq_length=self.max_seq_length,
            max_coarse_seq_length=self.max_coarse_seq_length or self.max_seq_length,
            short_seq_prob=self.short_seq_prob,
            next_sentence=self.do_nsp,
        )
        masking = None
        if self.masking == "static":
            masking = MaskingRule.for_tokenizer(
                tokenizer,
                max_seq_length=packing.max_seq_length,
                max_coarse_seq_length=packing.max_coarse_seq_length,
                masked_lm_prob=self.masked_lm_prob,
                max_predictions_per_seq=self.max_predictions_per_seq,
                max_coarse_predictions_per_seq=self.max_coarse_predictions_per_seq,
            )
        return RecordMaker(tokenizer, packing, masking, self.effective_dupe_factor, self.random_seed, self.errors)

    def identity(self, tokenizer_fingerprint: str) -> dict[str, Any]:
        """Returns what the records depend on, to tell whether an interrupted run is one of the same."""
        irrelevant = {"input_files", "tokenizer_dir", "num_workers", "errors", "resume"}
        identity = {key: value for key, value in dataclasses.asdict(self).items() if key not in irrelevant}
        identity["dupe_factor"] = self.effective_dupe_factor
        identity["tokenizer"] = tokenizer_fingerprint
        for name in self.input_files:
            identity[f"input_file {name}"] = source_version(name)
        # As it will look when it is read again.
        return json.loads(json.dumps(identity))
