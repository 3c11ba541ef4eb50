"""The report of benchmarks/study.py: statistics over seeds, tables, and a figure."""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ambert_tf.files import atomic_path
from ambert_tf.tasks.published_results import PUBLISHED, PUBLISHED_MODELS

REFERENCE = "bert_fine"
DIFFERENCES = (
    "## Differences", "", "Mean differences over seeds in points, paired by seed, with their 95 % intervals.", "",
)  # fmt: skip
# The paper's models under this project's names.
PAPER_NAMES = {
    "bert_fine": "Our BERT (fine)", "bert_coarse": "Our BERT (coarse)", "ambert": "AMBERT",
    "ambert_combo": "AMBERT-Combo", "ambert_hybrid": "AMBERT-Hybrid",
}  # fmt: skip


class Pretraining(NamedTuple):
    """A pre-trained model. If pre-training was interrupted, `processor_seconds` is that of the last run."""

    name: str
    directory: str
    steps: int
    results: Mapping[str, float]
    model_flops: float
    processor_seconds: float


class Score(NamedTuple):
    """The metric of one run, from 0 to 1 (correlations from -1). `labels` is 0 for all training examples."""

    task: str
    metric: str
    labels: int
    seed: int
    model: str
    value: float


class Interval(NamedTuple):
    """A mean and the half-width of its 95 % confidence interval, nan for a single value."""

    mean: float
    half_width: float

    def __str__(self) -> str:
        width = "" if np.isnan(self.half_width) else f" ± {self.half_width:.1f}"
        return f"{self.mean:.1f}{width}"


def signed(difference: Interval) -> str:
    """Returns a difference with its sign."""
    return f"{'+' if difference.mean >= 0 else ''}{difference}"


def interval(values: Sequence[float]) -> Interval:
    """Returns the mean of a sample and its 95 % confidence interval by Student's t."""
    from scipy.stats import t

    count = len(values)
    if count < 2:
        return Interval(float(np.mean(values)), float("nan"))
    error = np.std(values, ddof=1) / np.sqrt(count)
    return Interval(float(np.mean(values)), float(t.ppf(0.975, count - 1) * error))


def by_seed(scores: Sequence[Score], task: str, labels: int, model: str) -> dict[int, float]:
    """Returns the scores of a model in points, by seed."""
    return {s.seed: 100 * s.value for s in scores if (s.task, s.labels, s.model) == (task, labels, model)}


def paired_difference(scores: Mapping[int, float], reference: Mapping[int, float]) -> Interval | None:
    """Returns the mean difference over common seeds, or None if there are none."""
    seeds = sorted(scores.keys() & reference.keys())
    return interval([scores[seed] - reference[seed] for seed in seeds]) if seeds else None


def published_score(task: str, model: str) -> str:
    """Returns the paper's score of a model on a task, or "" if none was published."""
    if task not in PUBLISHED or model not in PAPER_NAMES:
        return ""
    return PUBLISHED[task][1][PUBLISHED_MODELS.index(PAPER_NAMES[model])]


def pretraining_table(pretrained: Sequence[Pretraining]) -> list[str]:
    """Returns the lines of the table of held-out losses and compute."""
    reference = next((each.model_flops for each in pretrained if each.name == REFERENCE), None)
    lines = [
        "| model | steps | model TFLOPs | vs. bert_fine | CPU minutes | held-out masked-LM loss, fine | coarse "
        "| accuracy, fine | coarse |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for each in pretrained:
        ratio = f"{each.model_flops / reference:.2f}" if reference else ""
        cells = [
            f"{each.results[name]:.3f}" if name in each.results else ""
            for name in (f"{grain}_masked_lm_{what}" for what in ("loss", "accuracy") for grain in ("fine", "coarse"))
        ]
        lines.append(
            f"| {each.name} | {each.steps:,} | {each.model_flops / 1e12:,.3g} | {ratio} | "
            f"{each.processor_seconds / 60:.1f} | {' | '.join(cells)} |"
        )
    return lines


def score_table(scores: Sequence[Score]) -> list[str]:
    """Returns the lines of the table of scores, with one row per task and model, and one column per label budget."""
    budgets = sorted({score.labels for score in scores}, key=lambda labels: labels or float("inf"))
    heads = [f"{labels:,} labels" if labels else "all labels" for labels in budgets]
    lines = [f"| task | model | {' | '.join(heads)} | published |", "|---" * (len(heads) + 3) + "|"]
    for task in dict.fromkeys(score.task for score in scores):
        for model in dict.fromkeys(score.model for score in scores if score.task == task):
            cells = []
            for labels in budgets:
                values = by_seed(scores, task, labels, model)
                cells.append(str(interval(list(values.values()))) if values else "")
            lines.append(f"| {task} | {model} | {' | '.join(cells)} | {published_score(task, model)} |")
    return lines


def difference_table(scores: Sequence[Score], references: Sequence[str]) -> list[str]:
    """Returns the lines of the table of differences from other reference models, paired by seed."""
    lines = [
        f"| task | labels | model | {' | '.join(f'minus {reference}' for reference in references)} |",
        "|---" * (len(references) + 3) + "|",
    ]
    for task, labels in dict.fromkeys((score.task, score.labels) for score in scores):
        for model in dict.fromkeys(score.model for score in scores if score.task == task):
            values = by_seed(scores, task, labels, model)
            found = [
                paired_difference(values, by_seed(scores, task, labels, reference)) if model != reference else None
                for reference in references
            ]
            if any(found):
                cells = " | ".join(signed(difference) if difference else "" for difference in found)
                lines.append(f"| {task} | {f'{labels:,}' if labels else 'all'} | {model} | {cells} |")
    return lines


def orderings(scores: Sequence[Score]) -> list[str]:
    """Returns one line per task and label budget with the ranking of the five models, and the paper's ranking."""
    lines = []
    keys = dict.fromkeys((score.task, score.labels) for score in scores)
    for task, labels in keys:
        means = {
            model: float(np.mean(list(values.values())))
            for model in PAPER_NAMES
            if (values := by_seed(scores, task, labels, model))
        }
        if len(means) < 2:
            continue
        ours = " > ".join(sorted(means, key=lambda model: -means[model]))
        lines.append(f"- {task}, {f'{labels:,}' if labels else 'all'} labels: {ours}")
    for task in dict.fromkeys(task for task, _ in keys):
        if task in PUBLISHED:
            published = {model: float(published_score(task, model).split("/")[0]) for model in PAPER_NAMES}
            order = " > ".join(sorted(published, key=lambda model: -published[model]))
            lines.append(f"- {task}, the paper ({PUBLISHED[task][0]}, base models): {order}")
    return lines


def draw(scores: Sequence[Score], path: str) -> None:
    """Draws the score against the number of labels, with one panel per task and one line per model."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    tasks = list(dict.fromkeys(score.task for score in scores))
    models = list(dict.fromkeys(score.model for score in scores))
    figure, panels = pyplot.subplots(1, len(tasks), figsize=(5 * len(tasks) + 3, 4.5), layout="constrained")
    for task, axes in zip(tasks, np.atleast_1d(panels), strict=True):
        budgets = sorted({s.labels for s in scores if s.task == task}, key=lambda labels: labels or float("inf"))
        for index, model in enumerate(models):
            samples = [list(by_seed(scores, task, labels, model).values()) for labels in budgets]
            points = [(x, interval(values)) for x, values in enumerate(samples) if values]
            dashed = "--" if "scratch" in model or "tf-idf" in model else "-"
            axes.errorbar(
                [x + 0.02 * (index - len(models) / 2) for x, _ in points],
                [each.mean for _, each in points],
                yerr=[np.nan_to_num(each.half_width) for _, each in points],
                label=model, color=f"C{index}", linestyle=dashed, marker="o", markersize=3, capsize=2,
            )  # fmt: skip
        axes.set_xticks(range(len(budgets)), [f"{labels:,}" if labels else "all" for labels in budgets])
        metric = next(score.metric for score in scores if score.task == task)
        axes.set(title=task, xlabel="labelled training examples", ylabel=metric.replace("_", " ") + ", points")
        axes.grid(alpha=0.3)
    figure.legend(*np.atleast_1d(panels)[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
    pyplot.close(figure)


def write_report(
    directory: str, machine: str, pretrained: Sequence[Pretraining], scores: Sequence[Score], references: Sequence[str]
) -> None:
    """Writes report.md, scores.tsv and scores.png.

    Args:
      directory: the directory to write to.
      machine: description of the machine.
      pretrained: the models that the study pre-trained.
      scores: scores of all runs.
      references: the models from which the table of differences has the differences.
    """
    seeds = len({score.seed for score in scores})
    lines = [
        "# Study", "", f"Machine: {machine}.", "",
        *(["## Pre-training", "", *pretraining_table(pretrained), ""] if pretrained else []),
        "## Fine-tuning", "",
        f"Points on the development files, mean ± 95 % confidence interval over seeds ({seeds}). "
        "`ambert, fine alone` is the paper's AMBERT-Single. Published scores are of base models pre-trained for a "
        "million steps.", "",
        *score_table(scores), "",
        *([*DIFFERENCES, *differences, ""] if len(differences := difference_table(scores, references)) > 2 else []),
        *(["## Order of the models", "", *order, ""] if (order := orderings(scores)) else []),
        "![scores](scores.png)", "",
    ]  # fmt: skip
    rows = ["\t".join(Score._fields), *("\t".join(map(str, score)) for score in scores)]
    for name, content in (("report.md", lines), ("scores.tsv", rows)):
        with atomic_path(os.path.join(directory, name)) as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in content)
    draw(scores, os.path.join(directory, "scores.png"))
