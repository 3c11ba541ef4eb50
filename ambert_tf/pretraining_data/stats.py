"""`stats.json`, written next to the shards, and the identity of a data creation run."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ambert_tf.corpus.sources import CorpusSettings, source_version
from ambert_tf.pretraining_data.creation_settings import CreationSettings

STATS_FILE = "stats.json"

_CORPUS_FLAGS = {field.name for field in dataclasses.fields(CorpusSettings)} - {"errors"}
_RUNNER_FLAGS = {"runner", "beam_options"}


def make_stats(
    settings: CreationSettings,
    input_files: Sequence[str],
    tokenizer_fingerprint: str,
    counts: Mapping[str, int],
    file_bytes: Mapping[str, int],
) -> dict[str, Any]:
    """Returns the contents of `stats.json`.

    The tokens of all sequences are counted, excluding [CLS] and [SEP]. With `dupe_factor` n, the corpus is counted n
    times.

    Args:
      settings: settings of data creation.
      input_files: names of the sources.
      tokenizer_fingerprint: fingerprint of the tokenizer.
      counts: the counts of `RecordMaker`, summed over the corpus.
      file_bytes: size of each shard by path, which allows readers to detect truncated files.
    """
    coarse_tokens = counts.get("coarse_tokens", 0)
    stats: dict[str, Any] = {
        "files": {os.path.basename(name): size for name, size in file_bytes.items()},
        # A document that was split is counted in each of its units.
        "documents": counts.get("documents", 0) - counts.get("documents_cut", 0),
        "documents_too_short": counts.get("documents_too_short", 0),
        "documents_cut": counts.get("documents_cut", 0),
        "lines_replaced": counts.get("lines_replaced", 0),
        "text_bytes": counts.get("text_bytes", 0),
        "sequences": counts.get("sequences", 0),
        "fine_tokens": counts.get("fine_tokens", 0),
        "coarse_tokens": coarse_tokens,
        "share_of_coarse_tokens_of_several_fine": counts.get("coarse_tokens_of_several_fine", 0)
        / max(1, coarse_tokens),
        "masking": settings.masking,
    }
    if settings.masking == "static":
        stats["fine_masked_tokens"] = counts.get("fine_masked_tokens", 0)
        stats["coarse_masked_tokens"] = counts.get("coarse_masked_tokens", 0)
    stats["next_sentence"] = settings.do_nsp
    if settings.do_nsp:
        stats["random_next_sentences"] = counts.get("random_next_sentences", 0)
    arguments = _arguments(settings)
    stats |= {
        "max_seq_length": settings.max_seq_length,
        "max_coarse_seq_length": settings.max_coarse_seq_length or settings.max_seq_length,
        "seed": settings.random_seed,
        "tokenizer_fingerprint": tokenizer_fingerprint,
        "arguments": {"input_files": list(input_files), **arguments},
    }
    return stats


def run_identity(settings: CreationSettings, input_files: Sequence[str], tokenizer_fingerprint: str) -> dict[str, Any]:
    """Returns everything that determines the records. `--resume` compares it with that of the interrupted run."""
    irrelevant = {"tokenizer_dir", "num_workers", "errors", "resume"}
    identity = {key: value for key, value in _arguments(settings).items() if key not in irrelevant}
    identity["dupe_factor"] = settings.effective_dupe_factor
    identity["tokenizer"] = tokenizer_fingerprint
    for name in input_files:
        identity[f"input_file {name}"] = source_version(name)
    # Convert it to the form in which it will be read from the file.
    return json.loads(json.dumps(identity))


def _arguments(settings: CreationSettings) -> dict[str, Any]:
    left_out = _CORPUS_FLAGS | _RUNNER_FLAGS
    return {key: value for key, value in dataclasses.asdict(settings).items() if key not in left_out}
