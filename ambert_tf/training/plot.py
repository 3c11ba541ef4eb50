"""Draws the training curves of several runs in one picture."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ambert_tf.errors import InputError
from ambert_tf.figures import new_figure, save_figure
from ambert_tf.flags import run_program, setting

METRICS_FILE = "metrics.jsonl"
HELD_OUT = "eval_"
# What is drawn, where it is there and nothing else is asked for.
USUAL_METRICS = (
    "loss",
    "fine_masked_lm_loss",
    "coarse_masked_lm_loss",
    "next_sentence_loss",
    "fine_masked_lm_accuracy",
    "coarse_masked_lm_accuracy",
    "fine_loss",
    "coarse_loss",
    "joint_loss",
    "agreement_loss",
    "accuracy",
    "learning_rate",
    "sequences_per_second",
)
PANELS_A_ROW = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlotSettings:
    """Draws the training curves of several runs in one picture.

        python -m ambert_tf.training.plot pretrained other_run --output=curves.png

    Reads metrics.jsonl of each run. Each metric has a panel and each run a colour; a dashed line is the same metric on
    held-out data. Needs matplotlib.
    """

    run_dirs: tuple[str, ...] = setting((), "Output directories; --run_dirs= may be left out.", arguments=True)
    output: str = setting("curves.png", "The picture to write: .png, .svg or .pdf.")
    metrics: tuple[str, ...] = setting(
        (), "Metrics to draw. Defaults to losses, accuracies, learning rate and speed."
    )

    def validate(self) -> None:
        """Raises an InputError if no run is named."""
        if not self.run_dirs:
            raise InputError(
                "name the runs' directories: python -m ambert_tf.training.plot RUN_DIR... --output=curves.png"
            )


class Run(NamedTuple):
    """A run's name, and the steps and values of each of its metrics."""

    name: str
    curves: Mapping[str, tuple[list[int], list[float]]]


def read_runs(directories: Sequence[str]) -> list[Run]:
    """Reads the metrics of some runs; a run is named by its directory, by the whole path where two are alike.

    Raises:
      InputError: a directory has no metrics, or a line of them is damaged.
    """
    ends = [os.path.basename(os.path.abspath(directory)) for directory in directories]
    names = ends if len(set(ends)) == len(ends) else list(directories)
    return [Run(name, _read_curves(directory)) for name, directory in zip(names, directories, strict=True)]


def _read_curves(directory: str) -> dict[str, tuple[list[int], list[float]]]:
    path = os.path.join(directory, METRICS_FILE)
    if not os.path.isdir(directory):
        raise InputError(f"{directory}: no such directory; an --output_dir of training is needed")
    if not os.path.isfile(path):
        raise InputError(f"{directory}: has no {METRICS_FILE}, so it is no --output_dir of training")
    curves: dict[str, tuple[list[int], list[float]]] = {}
    with open(path, encoding="utf-8") as file:
        for number, text in enumerate(file, start=1):
            if not text.endswith("\n"):
                break  # a run that goes on is writing it
            try:
                line = json.loads(text)
                step = int(line.pop("step"))
            except (ValueError, KeyError, TypeError, AttributeError):
                raise InputError(f"{path}: line {number} is no JSON object with a step") from None
            for name, value in line.items():
                if isinstance(value, int | float):
                    steps, values = curves.setdefault(name, ([], []))
                    steps.append(step)
                    values.append(value)
    if not curves:
        raise InputError(f"{path}: holds no metrics yet; the run has not reached its first --log_steps")
    return curves


def chosen_metrics(runs: Sequence[Run], wanted: Sequence[str]) -> list[str]:
    """Returns the metrics to draw: those that are wanted, or of the usual ones those that a run has.

    Raises:
      InputError: no run has a wanted one.
    """
    there = {name.removeprefix(HELD_OUT) for run in runs for name in run.curves}
    for name in wanted:
        if name not in there:
            raise InputError(f"--metrics={name}: no run has this metric; there are {', '.join(sorted(there))}")
    return list(wanted) or [name for name in USUAL_METRICS if name in there] or sorted(there)


def make_figure(runs: Sequence[Run], metrics: Sequence[str]) -> Any:
    """Returns a matplotlib figure with a panel a metric.

    Raises:
      InputError: matplotlib is not installed.
    """
    columns = min(PANELS_A_ROW, len(metrics))
    rows = -(-len(metrics) // columns)
    figure = new_figure(5 * columns, 3.4 * rows + 0.4 + 0.2 * len(runs))
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    handles: dict[str, Any] = {}
    for panel, metric in zip(panels, metrics, strict=False):
        panel.set_title(metric.replace("_", " "))
        panel.set_xlabel("training step")
        panel.grid(alpha=0.3)
        for index, run in enumerate(runs):
            for name, style, label in ((metric, "-", run.name), (HELD_OUT + metric, "--", f"{run.name}, held out")):
                if name in run.curves:
                    marker = "o" if len(run.curves[name][0]) == 1 else None
                    (line,) = panel.plot(*run.curves[name], style, color=f"C{index}", label=label, marker=marker)
                    handles.setdefault(label, line)
    for panel in panels[len(metrics) :]:
        panel.set_visible(False)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(4, len(handles)))
    return figure


def draw(directories: Sequence[str], output: str, metrics: Sequence[str] = ()) -> None:
    """Draws the curves of some runs into a file, whose ending says the format.

    Raises:
      InputError: a run has no metrics, a metric is none, matplotlib is missing or cannot write such a file.
    """
    runs = read_runs(directories)
    save_figure(make_figure(runs, chosen_metrics(runs, metrics)), output, dpi=110)


def run_plot(settings: PlotSettings) -> None:
    """Draws the runs that the flags name."""
    settings.validate()
    draw(settings.run_dirs, settings.output, settings.metrics)
    print(settings.output)


if __name__ == "__main__":
    run_program(PlotSettings, run_plot)
