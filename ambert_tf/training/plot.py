"""Draws the training curves of several runs in one figure."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ambert_tf.errors import InputError
from ambert_tf.figures import new_figure, save_figure
from ambert_tf.files import is_directory, is_file, parse_json, read_bytes
from ambert_tf.flags import check_outputs, run_program, setting
from ambert_tf.training.settings import EVALUATION_PREFIX, METRICS_FILE

PANELS_PER_ROW = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlotSettings:
    """Draws the training curves of several runs in one figure.

        python -m ambert_tf.training.plot pretrained other_run --output=curves.png

    Reads metrics.jsonl of each run. Each metric has a panel, and each run a colour. Dashed lines show the metric on
    held-out data. Requires matplotlib.
    """

    run_dirs: tuple[str, ...] = setting((), "Output directories. --run_dirs= may be omitted.", arguments=True)
    output: str = setting("curves.png", "Figure to write: .png, .svg or .pdf.")
    metrics: tuple[str, ...] = setting(
        (), "Metrics to draw. Defaults to losses, accuracies, learning rate and speed."
    )

    def validate(self) -> None:
        """Raises an InputError if no run is given."""
        if not self.run_dirs:
            raise InputError(
                "name the runs' directories: python -m ambert_tf.training.plot RUN_DIR... --output=curves.png"
            )
        check_outputs(self, "output")


class Run(NamedTuple):
    """The name of a run, and the steps and values of its metrics."""

    name: str
    curves: Mapping[str, tuple[list[int], list[float]]]


def read_runs(directories: Sequence[str]) -> list[Run]:
    """Reads the metrics of runs. A run is named after its directory or, if two names are equal, by its path.

    Raises:
      InputError: a directory has no metrics, or a line is damaged.
    """
    ends = [os.path.basename(os.path.abspath(directory)) for directory in directories]
    names = ends if len(set(ends)) == len(ends) else list(directories)
    return [Run(name, _read_curves(directory)) for name, directory in zip(names, directories, strict=True)]


def _read_curves(directory: str) -> dict[str, tuple[list[int], list[float]]]:
    path = os.path.join(directory, METRICS_FILE)
    if not is_directory(directory):
        raise InputError(f"{directory}: no such directory; an --output_dir of training is expected")
    if not is_file(path):
        raise InputError(f"{directory}: has no {METRICS_FILE}, so it is not an --output_dir of training")
    curves: dict[str, tuple[list[int], list[float]]] = {}
    for number, text in enumerate(read_bytes(path).splitlines(keepends=True), start=1):
        if not text.endswith(b"\n"):
            break  # a run is still writing this line
        try:
            line = parse_json(text)
            step = int(line.pop("step"))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            raise InputError(f"{path}: line {number} is not a JSON object with a step") from None
        for name, value in line.items():
            if isinstance(value, int | float):
                steps, values = curves.setdefault(name, ([], []))
                steps.append(step)
                values.append(value)
    if not curves:
        raise InputError(f"{path}: has no metrics yet; the run has not reached its first --log_steps")
    return curves


def chosen_metrics(runs: Sequence[Run], wanted: Sequence[str]) -> list[str]:
    """Returns the metrics to draw. Default: losses, accuracies, learning rate and sequences per second.

    Raises:
      InputError: no run has one of the wanted metrics.
    """
    there = {name.removeprefix(EVALUATION_PREFIX) for run in runs for name in run.curves}
    for name in wanted:
        if name not in there:
            raise InputError(f"--metrics={name}: no run has this metric; the metrics are {', '.join(sorted(there))}")
    usual = [name for ending in ("loss", "accuracy") for name in sorted(there) if name.endswith(ending)]
    usual.sort(key=lambda name: name != "loss")
    usual += [name for name in ("learning_rate", "sequences_per_second") if name in there]
    return list(wanted) or usual or sorted(there)


def make_figure(runs: Sequence[Run], metrics: Sequence[str]) -> Any:
    """Returns a matplotlib figure with one panel per metric.

    Raises:
      InputError: matplotlib is not installed.
    """
    columns = min(PANELS_PER_ROW, len(metrics))
    rows = -(-len(metrics) // columns)
    figure = new_figure(5 * columns, 3.4 * rows + 0.4 + 0.2 * len(runs))
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    handles: dict[str, Any] = {}
    for panel, metric in zip(panels, metrics, strict=False):
        panel.set_title(metric.replace("_", " "))
        panel.set_xlabel("training step")
        panel.grid(alpha=0.3)
        for index, run in enumerate(runs):
            held_out = EVALUATION_PREFIX + metric
            for name, style, label in ((metric, "-", run.name), (held_out, "--", f"{run.name}, held-out")):
                if name in run.curves:
                    marker = "o" if len(run.curves[name][0]) == 1 else None
                    (line,) = panel.plot(*run.curves[name], style, color=f"C{index}", label=label, marker=marker)
                    handles.setdefault(label, line)
    for panel in panels[len(metrics) :]:
        panel.set_visible(False)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(4, len(handles)))
    return figure


def draw(directories: Sequence[str], output: str, metrics: Sequence[str] = ()) -> None:
    """Draws the curves of runs to a file, whose extension determines the format.

    Raises:
      InputError: a run has no metrics, no run has a metric, or matplotlib is missing or cannot write this format.
    """
    runs = read_runs(directories)
    save_figure(make_figure(runs, chosen_metrics(runs, metrics)), output, dpi=110)


def run_plot(settings: PlotSettings) -> None:
    """Draws the runs named by the flags."""
    settings.validate()
    draw(settings.run_dirs, settings.output, settings.metrics)
    print(settings.output)


if __name__ == "__main__":
    run_program(PlotSettings, run_plot)
