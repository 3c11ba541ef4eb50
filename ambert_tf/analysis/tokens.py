"""Counts the tokens of a corpus at both grains (the paper's Table 9).

For Table 9, the paper tokenizes 10,000 random sentences with the coarse tokenizer and reports the average proportion of
words (Chinese) or phrases (English) among the tokens. Here, a word is a coarse token of several characters, and a
phrase is one of several words. The proportion is reported as the average over sentences, and over all tokens.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ambert_tf.analysis.analysis_settings import TokensSettings
from ambert_tf.analysis.input_texts import given_texts
from ambert_tf.errors import InputError
from ambert_tf.flags import run_program
from ambert_tf.outputs import atomic_path
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

BATCH_SIZE = 256
WORDS = {"zh": "words", "en": "phrases"}


def token_statistics(tokenizer: MultiGrainedTokenizer, texts: Sequence[str]) -> dict[str, Any]:
    """Returns counts and proportions of the tokens in texts.

    In the following, `WORDS` is `words` for a Chinese tokenizer and `phrases` for an English one.

    Returns:
      `texts`, the number of texts with tokens; `fine_tokens`, `coarse_tokens`, and their averages per text; `WORDS`,
      the number of coarse tokens that are words or phrases; `WORDS_share`, their proportion averaged over texts as in
      Table 9, and `WORDS_share_of_all`, over all coarse tokens; `fine_per_coarse`, the mean number of fine tokens per
      coarse token; `fine_per_WORDS`, the same for words or phrases only; `unknown_share` of both grains;
      `coarse_sizes`, the proportion of coarse tokens that contain 1, 2, 3, … fine tokens.

    Raises:
      InputError: the texts have no tokens.
    """
    is_word = np.array(
        [
            index >= tokenizer.fine_vocab_size and (" " in entry if tokenizer.language == "en" else len(entry) > 1)
            for index, entry in enumerate(tokenizer.coarse_vocab)
        ]
    )
    tokenize = tf.function(tokenizer.ids, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    fine_lengths, shares, sizes = [], [], []
    coarse_tokens = unknown_fine = unknown_coarse = words = fine_in_words = 0
    for start in range(0, len(texts), BATCH_SIZE):
        ids = tokenize(tf.constant(list(texts[start : start + BATCH_SIZE]), tf.string))
        fine, coarse = ids.fine_ids.flat_values.numpy(), ids.coarse_ids.flat_values.numpy()
        counts = ids.fine_counts.numpy()
        lengths = ids.coarse_ids.row_lengths().numpy()
        found = is_word[coarse]
        of_text = np.bincount(np.repeat(np.arange(len(lengths)), lengths), found, len(lengths))
        shares.append(of_text[lengths > 0] / lengths[lengths > 0])
        fine_lengths.append(ids.fine_ids.row_lengths().numpy()[lengths > 0])
        sizes.append(counts)
        coarse_tokens += len(coarse)
        words += int(found.sum())
        fine_in_words += int(counts[found].sum())
        unknown_fine += int((fine == tokenizer.unk_id).sum())
        unknown_coarse += int((coarse == tokenizer.unk_id).sum())
    number, fine_tokens = sum(map(len, shares)), int(sum(lengths.sum() for lengths in fine_lengths))
    if not number:
        raise InputError("--text or --input_file: the texts have no tokens")
    kind = WORDS[tokenizer.language]
    histogram = np.bincount(np.concatenate(sizes))
    return {
        "texts": number,
        "fine_tokens": fine_tokens,
        "coarse_tokens": coarse_tokens,
        "fine_tokens_per_text": fine_tokens / number,
        "coarse_tokens_per_text": coarse_tokens / number,
        kind: words,
        f"{kind}_share": float(np.concatenate(shares).mean()),
        f"{kind}_share_of_all": words / coarse_tokens,
        "fine_per_coarse": fine_tokens / coarse_tokens,
        f"fine_per_{kind}": fine_in_words / max(words, 1),
        "unknown_share": {"fine": unknown_fine / fine_tokens, "coarse": unknown_coarse / coarse_tokens},
        "coarse_sizes": {str(size): int(count) / coarse_tokens for size, count in enumerate(histogram) if count},
    }


def describe_statistics(statistics: dict[str, Any]) -> str:
    """Returns the statistics as lines of text."""
    kind = "words" if "words" in statistics else "phrases"
    lines = [
        f"texts                     {statistics['texts']:>12,}",
        *(
            f"{grain + ' tokens':25} {statistics[f'{grain}_tokens']:>12,}  "
            f"{statistics[f'{grain}_tokens_per_text']:.2f} per text"
            for grain in ("fine", "coarse")
        ),
        f"{kind:25} {statistics[kind]:>12,}",
        f"proportion of {kind:11} {100 * statistics[f'{kind}_share']:>11.1f} %, average over texts (Table 9)",
        f"                          {100 * statistics[f'{kind}_share_of_all']:>11.1f} % of all coarse tokens",
        f"fine tokens per coarse    {statistics['fine_per_coarse']:>12.2f}",
        f"fine tokens per {kind.removesuffix('s'):9} {statistics[f'fine_per_{kind}']:>12.2f}",
        f"unknown, fine             {100 * statistics['unknown_share']['fine']:>11.2f} %",
        f"unknown, coarse           {100 * statistics['unknown_share']['coarse']:>11.2f} %",
    ]
    sizes = [f"{size}: {100 * share:.1f} %" for size, share in list(statistics["coarse_sizes"].items())[:8]]
    return "\n".join([*lines, f"coarse tokens by number of fine tokens: {', '.join(sizes)}"])


def run_tokens(settings: TokensSettings) -> None:
    """Prints the statistics, and writes them to `output`."""
    settings.validate()
    tokenizer = MultiGrainedTokenizer.load(settings.tokenizer_dir)
    statistics = token_statistics(tokenizer, given_texts(settings))
    print(describe_statistics(statistics))
    if settings.output:
        with atomic_path(settings.output) as temporary, open(temporary, "w", encoding="utf-8") as file:
            json.dump(statistics, file, indent=2)
            file.write("\n")


if __name__ == "__main__":
    run_program(TokensSettings, run_tokens)
