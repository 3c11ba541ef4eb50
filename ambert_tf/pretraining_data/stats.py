"""`stats.json`: what stands beside the shards."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ambert_tf.pretraining_data.options import CreateOptions

STATS_FILE = "stats.json"


def make_stats(
    options: CreateOptions, tokenizer_fingerprint: str, counts: Mapping[str, int], file_bytes: Mapping[str, int]
) -> dict[str, Any]:
    """Returns the content of `stats.json`.

    Tokens are those of the sequences, without [CLS] and [SEP]; with `dupe_factor` n, each part of the corpus
    counts n times.

    Args:
      options: the options of the run.
      tokenizer_fingerprint: of the tokenizer that was used.
      counts: as `RecordMaker` counts, over the whole corpus.
      file_bytes: the size of each shard, by its path; a file that was cut off later is known by it.
    """
    coarse_tokens = counts.get("coarse_tokens", 0)
    stats: dict[str, Any] = {
        "files": {name.rsplit("/", 1)[-1]: size for name, size in file_bytes.items()},
        # One that was cut counts in each of its units.
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
        "masking": options.masking,
    }
    if options.masking == "static":
        stats["fine_masked_tokens"] = counts.get("fine_masked_tokens", 0)
        stats["coarse_masked_tokens"] = counts.get("coarse_masked_tokens", 0)
    stats["next_sentence"] = options.do_nsp
    if options.do_nsp:
        stats["random_next_sentences"] = counts.get("random_next_sentences", 0)
    stats |= {
        "max_seq_length": options.max_seq_length,
        "max_coarse_seq_length": options.max_coarse_seq_length or options.max_seq_length,
        "seed": options.random_seed,
        "tokenizer_fingerprint": tokenizer_fingerprint,
        "arguments": dataclasses.asdict(options),
    }
    return stats
