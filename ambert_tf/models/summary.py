"""Prints parameters and FLOPs of the five models next to the paper's figures."""

import dataclasses
from typing import NamedTuple

from ambert_tf.errors import InputError
from ambert_tf.flags import at_least, run_program, setting
from ambert_tf.models.config import PRESETS, ModelConfig

MODELS = ("bert_fine", "bert_coarse", "ambert_combo", "ambert_hybrid", "ambert")
# Tables 1 and 4 of the paper: l layers, sequences of n tokens, representations of size d.
COMPLEXITY = {
    "bert_fine": "O(l n² d)",
    "bert_coarse": "O(l n² d)",
    "ambert_combo": "O(2 l n² d)",
    "ambert_hybrid": "O(4 l n² d)",
    "ambert": "O(2 l n² d)",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SummarySettings:
    """Prints parameters and FLOPs of the five models next to the paper's figures.

        python -m ambert_tf.models.summary
        python -m ambert_tf.models.summary --config=pretrained/config.json --max_coarse_seq_length=320

    Without --config, it describes the paper's models: BERT-base with its English and its Chinese vocabularies (§4.1;
    the coarse vocabulary is the fine one followed by the words or phrases). The paper's complexities assume fine and
    coarse sequences of equal length. In practice, a text has fewer coarse than fine tokens. Set --max_coarse_seq_length
    to see the effect.
    """

    config: str | None = setting(None, "A config.json. Defaults to the paper's sizes.")
    max_seq_length: int = setting(512, "Fine tokens per sequence.")
    max_coarse_seq_length: int | None = setting(None, "Coarse tokens per sequence. Defaults to --max_seq_length.")

    def validate(self) -> None:
        """Raises an InputError if a length is out of range."""
        at_least(self, 1, "max_seq_length", "max_coarse_seq_length")


class Language(NamedTuple):
    """A language's vocabulary sizes, and the paper's parameter counts by model, in millions."""

    name: str
    vocab_size: int
    coarse_vocab_size: int
    published_millions: dict[str, int]


LANGUAGES = (
    Language(
        "English", 30522, 30522 + 77645,
        {"bert_fine": 110, "bert_coarse": 170, "ambert_combo": 280, "ambert_hybrid": 194, "ambert": 194},
    ),
    Language(
        "Chinese", 21128, 21128 + 72635,
        {"bert_fine": 108, "bert_coarse": 165, "ambert_combo": 273, "ambert_hybrid": 176, "ambert": 176},
    ),
)  # fmt: skip


def table(config: ModelConfig, fine_length: int, coarse_length: int, published: dict[str, int] | None) -> list[str]:
    """Returns the lines of a table with one row for each of the five models.

    Args:
      config: the sizes. Its `model_type` is ignored.
      fine_length: number of tokens in a fine sequence.
      coarse_length: number of tokens in a coarse sequence.
      published: the paper's parameter counts by model, in millions, or None to omit that column.
    """
    import tensorflow as tf

    from ambert_tf.models.flops import model_flops, parameter_count

    head = f"{'model':<14} {'parameters':>12} {'with heads':>12}"
    head += f" {'paper':>6}" if published else ""
    lines = [f"{head} {'GFLOP/sequence':>17} {'vs. bert_fine':>13}  complexity (paper)"]
    lengths = {"fine": tf.constant([float(fine_length)]), "coarse": tf.constant([float(coarse_length)])}
    single = float(model_flops(dataclasses.replace(config, model_type="bert_fine"), lengths))
    for model_type in MODELS:
        sizes = dataclasses.replace(config, model_type=model_type)
        counts = [parameter_count(sizes, masked_lm_heads=heads) / 1e6 for heads in (False, True)]
        flops = float(model_flops(sizes, lengths))
        line = f"{model_type:<14} {counts[0]:>10.1f} M {counts[1]:>10.1f} M"
        line += f" {published[model_type]:>4} M" if published else ""
        lines.append(f"{line} {flops / 1e9:>17.1f} {flops / single:>12.2f}x  {COMPLEXITY[model_type]}")
    return lines


def summary(config: str | None, fine_length: int, coarse_length: int | None) -> list[str]:
    """Returns the lines of the tables; see `SummarySettings`.

    Args:
      config: a configuration file, or None for the paper's models.
      fine_length: number of tokens in a fine sequence.
      coarse_length: number of tokens in a coarse sequence. Defaults to `fine_length`.

    Raises:
      InputError: the file is not a configuration, it has only one vocabulary, or a length is out of range.
    """
    coarse_length = fine_length if coarse_length is None else coarse_length
    if not 1 <= coarse_length <= fine_length:
        raise InputError(f"--max_coarse_seq_length={coarse_length}: must be from 1 to --max_seq_length={fine_length}")
    lengths = f"{fine_length} fine and {coarse_length} coarse tokens per sequence"
    if config is not None:
        sizes = ModelConfig.from_file(config)
        if not sizes.coarse_vocab_size:
            raise InputError(f"--config={config}: has no coarse_vocab_size, which this comparison needs")
        shape = f"{sizes.num_hidden_layers} layers, hidden size {sizes.hidden_size}"
        return [f"{config}: {shape}, {lengths}", *table(sizes, fine_length, coarse_length, None)]
    lines = []
    for language in LANGUAGES:
        sizes = ModelConfig.preset("base", language.vocab_size, language.coarse_vocab_size)
        vocabularies = f"vocabularies of {language.vocab_size:,} and {language.coarse_vocab_size:,}"
        lines += [f"{language.name}, {vocabularies}, base ({PRESETS['base']['num_hidden_layers']} layers), {lengths}"]
        lines += [*table(sizes, fine_length, coarse_length, language.published_millions), ""]
    return lines[:-1]


def run_summary(settings: SummarySettings) -> None:
    """Prints the tables."""
    settings.validate()
    print("\n".join(summary(settings.config, settings.max_seq_length, settings.max_coarse_seq_length)))


if __name__ == "__main__":
    run_program(SummarySettings, run_summary)
