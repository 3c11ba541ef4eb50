"""The report of benchmarks/study.py: statistics over seeds, tables, and a figure."""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ambert_tf.outputs import atomic_path
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

_COLUMNS = {model: PUBLISHED_MODELS.index(name) for model, name in PAPER_NAMES.items()}
# The paper's names of our metrics.
PAPER_METRICS = {
    "accuracy": "accuracy", "f1": "F1", "mixed_f1": "F1", "exact_match": "EM", "mixed_exact_match": "EM",
    "matthews_correlation": "Matthews", "pearson": "Pearson", "spearman": "Spearman",
}  # fmt: skip
# The look of a line: a colour, then a marker for every ten models. Models without pre-training are dashed or dotted.
COLOURS, MARKERS = 10, "os^Dvx"
LINES, LINES_WITHOUT_PRETRAINING = ("-", "-."), ("--", ":")


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


class Published(NamedTuple):
    """A score from the paper: the set, the paper's name of the metric, and the figure in points."""

    set_name: str
    metric: str
    figure: str


def published_score(task: str, model: str, metric: str) -> Published | None:
    """Returns the paper's score of a model on a task by one of our metrics, or None if none was published.

    The paper has two figures for some tasks, such as F1/accuracy. Of MNLI's two sets, the first one is returned.
    """
    if task not in PUBLISHED or model not in PAPER_NAMES:
        return None
    described, figures = PUBLISHED[task]
    set_name, _, names = described.partition(" ")
    by_name = dict(zip(names.partition(",")[0].split("/"), figures[_COLUMNS[model]].split("/"), strict=False))
    name = PAPER_METRICS.get(metric, "")
    figure = by_name.get(name, "-")
    return None if figure == "-" else Published(set_name, name, figure)


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
    lines = [f"| task | metric | model | {' | '.join(heads)} | published |", "|---" * (len(heads) + 4) + "|"]
    for task, metric in dict.fromkeys((score.task, score.metric) for score in scores):
        for model in dict.fromkeys(score.model for score in scores if score.task == task):
            cells = []
            for labels in budgets:
                values = by_seed(scores, task, labels, model)
                cells.append(str(interval(list(values.values()))) if values else "")
            found = published_score(task, model, metric)
            published = f"{found.figure} ({found.set_name})" if found else ""
            lines.append(f"| {task} | {metric} | {model} | {' | '.join(cells)} | {published} |")
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
    for task, metric in dict.fromkeys((score.task, score.metric) for score in scores):
        published = {model: found for model in PAPER_NAMES if (found := published_score(task, model, metric))}
        if published:
            order = " > ".join(sorted(published, key=lambda model: -float(published[model].figure)))
            first = next(iter(published.values()))
            lines.append(f"- {task}, the paper ({first.set_name} {first.metric}, base models): {order}")
    return lines


def line_look(index: int, model: str) -> dict[str, str]:
    """Returns the colour, line style and marker of a model in the figure, different for each index below 60."""
    lines = LINES_WITHOUT_PRETRAINING if any(name in model for name in ("scratch", "tf-idf", "CRF")) else LINES
    tens = index // COLOURS
    return {
        "color": f"C{index % COLOURS}", "linestyle": lines[tens % len(lines)], "marker": MARKERS[tens % len(MARKERS)]
    }  # fmt: skip


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
            axes.errorbar(
                [x + 0.02 * (index - len(models) / 2) for x, _ in points],
                [each.mean for _, each in points],
                yerr=[np.nan_to_num(each.half_width) for _, each in points],
                label=model, **line_look(index, model), markersize=3, capsize=2,
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
