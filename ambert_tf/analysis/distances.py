"""Measures the distances between the grains' representations of texts on a data set (the paper's Figure 2).

For each text, r_x0 and r_z0 are the encoder's [CLS] vectors of the fine and the coarse grain, before the pooler. With
`--pooling=mean`, they are the means over the tokens, which models with `classifier_pooling: mean` classify. The
distances are:

- Cosine dissimilarity, 1 - r_x0·r_z0 / (‖r_x0‖ ‖r_z0‖), is 0 for vectors with the same direction, 1 for orthogonal
  vectors, and 2 for opposite vectors.
- Normalized Euclidean distance, sqrt(½ Var(r_x0 - r_z0) / (Var(r_x0) + Var(r_z0))), where Var is the variance over the
  elements of a vector, is 0 for vectors that are equal up to a constant, 1/√2 for uncorrelated vectors, and 1 for
  opposite vectors. The paper does not define its normalization. This is the square root of the usual normalized squared
  Euclidean distance.

Mean, standard deviation and percentiles of each model are written to a .json file next to the figure.
"""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ambert_tf.analysis.analysis_settings import DistancesSettings
from ambert_tf.analysis.encoders import limits, load_encoders, model_inputs
from ambert_tf.analysis.input_texts import given_texts
from ambert_tf.errors import InputError
from ambert_tf.figures import new_figure, save_figure
from ambert_tf.flags import run_program
from ambert_tf.models.eq2 import mean_over_tokens
from ambert_tf.outputs import atomic_path
from ambert_tf.training.loaded_model import LoadedModel

COSINE = "cosine_dissimilarity"
EUCLIDEAN = "normalized_euclidean"
BATCH_SIZE = 32
PERCENTILES = (5, 50, 95)


def cosine_dissimilarity(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns one minus the cosine similarity of the rows of two arrays [n, size], float64 [n]."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return 1.0 - (first * second).sum(axis=1) / np.maximum(norms, 1e-12)


def normalized_euclidean(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns sqrt(½ Var(first - second) / (Var(first) + Var(second))) of two arrays' rows, float64 [n]."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    spread = first.var(axis=1) + second.var(axis=1)
    return np.sqrt(0.5 * (first - second).var(axis=1) / np.maximum(spread, 1e-12))


def text_vectors(
    encoder: LoadedModel, texts: Sequence[str], max_seq_length: int, pooling: str = "cls"
) -> dict[str, np.ndarray]:
    """Returns the vectors of texts by grain, float32 [texts, hidden].

    Args:
      encoder: a model with two grains.
      texts: the texts.
      max_seq_length: maximum fine sequence length.
      pooling: `cls` for the [CLS] vectors or `mean` for the means over the tokens.

    Raises:
      InputError: the model has only one grain.
    """
    backbone = encoder.backbone
    if len(backbone.grains) < 2:
        raise InputError(f"--model_dir: {encoder.name} has only one grain; a model with two grains is needed")
    names = ("fine_input_ids", "fine_segment_ids", "coarse_input_ids", "coarse_segment_ids", "fine_to_coarse")
    run = tf.function(
        lambda inputs: backbone(inputs, training=False),
        input_signature=[{name: tf.TensorSpec([None, None], tf.int32) for name in names}],
        autograph=False,
    )
    # Batches of similar lengths need less padding, and the length in bytes is precise enough.
    order = np.argsort([len(text.encode()) for text in texts], kind="stable")
    found = {grain: np.zeros((len(texts), backbone.config.hidden_size), np.float32) for grain in backbone.grains}
    for start in range(0, len(texts), BATCH_SIZE):
        rows = order[start : start + BATCH_SIZE]
        limit = limits(backbone, max_seq_length)
        inputs = model_inputs(encoder.tokenizer, [texts[row] for row in rows], None, limit)
        outputs = run(inputs)
        for grain, values in found.items():
            sequence = outputs[f"{grain}_sequence_output"]
            if pooling == "mean":
                values[rows] = mean_over_tokens(sequence, inputs[f"{grain}_input_ids"]).numpy()
            else:
                values[rows] = sequence[:, 0].numpy()
    return found


def grain_distances(
    encoder: LoadedModel, texts: Sequence[str], max_seq_length: int = 128, pooling: str = "cls"
) -> dict[str, np.ndarray]:
    """Returns both distances of each text, float64 [texts], under `cosine_dissimilarity` and `normalized_euclidean`."""
    vectors = text_vectors(encoder, texts, max_seq_length, pooling)
    fine, coarse = vectors["fine"], vectors["coarse"]
    return {COSINE: cosine_dissimilarity(fine, coarse), EUCLIDEAN: normalized_euclidean(fine, coarse)}


def summary(values: np.ndarray) -> dict[str, float]:
    """Returns mean, standard deviation and percentiles."""
    facts = {"mean": float(values.mean()), "deviation": float(values.std())}
    return facts | {f"percentile_{at}": float(np.percentile(values, at)) for at in PERCENTILES}


def draw_distances(distances: Mapping[str, Mapping[str, np.ndarray]], pooling: str = "cls") -> Any:
    """Returns a figure with one panel per distance and one box per model.

    Boxes cover the middle half of the texts, and whiskers the middle 90 %.

    Args:
      distances: the results of `grain_distances` by name of the model.
      pooling: whether the vectors are those of [CLS] (`cls`) or means over the tokens (`mean`).
    """
    names = list(distances)
    figure = new_figure(4.0 + 2.0 * len(names), 4.0)
    for panel, (key, title) in zip(
        figure.subplots(1, 2), ((COSINE, "cosine dissimilarity"), (EUCLIDEAN, "normalized Euclidean distance")),
        strict=True,
    ):  # fmt: skip
        values = [distances[name][key] for name in names]
        panel.boxplot(values, whis=(5, 95), showfliers=False, showmeans=True, widths=0.5)
        labels = [name.replace(" (", "\n(") for name in names]
        panel.set_xticks(range(1, len(names) + 1), labels, fontsize=9)
        panel.set_title(title, fontsize=11)
        panel.set_ylim(bottom=0.0)
        panel.grid(axis="y", alpha=0.3)
    vectors = {"cls": "[CLS] vectors", "mean": "mean vectors"}[pooling]
    figure.suptitle(f"Distance between fine and coarse {vectors}, {len(values[0])} texts", fontsize=11)
    return figure


def write_distances(
    model_dirs: Sequence[str],
    texts: Sequence[str],
    output: str,
    names: Sequence[str] = (),
    max_seq_length: int = 128,
    pooling: str = "cls",
) -> dict[str, Any]:
    """Writes the figure, and its numbers to a .json file next to it. Returns the numbers.

    Args:
      model_dirs: directories of models with two grains.
      texts: the texts of the data set.
      output: the figure.
      names: names of the models.
      max_seq_length: maximum fine sequence length.
      pooling: `cls` or `mean`; see `text_vectors`.

    Raises:
      InputError: a directory is not a model directory, its model has only one grain, or two names are equal.
    """
    encoders = load_encoders(model_dirs, names)
    if len({encoder.name for encoder in encoders}) < len(encoders):
        raise InputError("--model_dir: two models have the same name; use --names to rename them")
    distances = {encoder.name: grain_distances(encoder, texts, max_seq_length, pooling) for encoder in encoders}
    facts = {
        "texts": len(texts),
        "pooling": pooling,
        "models": {
            name: {key: summary(values) for key, values in found.items()} for name, found in distances.items()
        },
    }
    save_figure(draw_distances(distances, pooling), output)
    with (
        atomic_path(os.path.splitext(output)[0] + ".json") as temporary,
        open(temporary, "w", encoding="utf-8") as file,
    ):
        json.dump(facts, file, indent=2, ensure_ascii=False)
        file.write("\n")
    return facts


def run_distances(settings: DistancesSettings) -> None:
    """Writes the figure and the numbers, and prints the numbers."""
    settings.validate()
    facts = write_distances(
        settings.model_dir, given_texts(settings), settings.output, settings.names, settings.max_seq_length,
        settings.pooling,
    )  # fmt: skip
    print(f"{'model':40} {'distance':22} {'mean':>7} {'s.d.':>7} {'5 %':>7} {'50 %':>7} {'95 %':>7}")
    for name, found in facts["models"].items():
        for key, numbers in found.items():
            print(f"{name:40} {key:22} " + " ".join(f"{number:7.4f}" for number in numbers.values()))
    print(f"{settings.output}: {facts['texts']} texts")


if __name__ == "__main__":
    run_program(DistancesSettings, run_distances)
