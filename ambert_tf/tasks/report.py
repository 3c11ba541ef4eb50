"""Prints a table of fine-tuning results, or writes a submission file for CLUE's leaderboard."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ambert_tf.errors import InputError
from ambert_tf.files import exists, read_json_object
from ambert_tf.flags import run_program, setting
from ambert_tf.tasks.published_results import PUBLISHED, PUBLISHED_MODELS
from ambert_tf.tasks.registry import TASKS
from ambert_tf.tasks.submission import write_submission

# The evaluation results that every program writes into its output directory, as .json and .txt.
EVAL_RESULTS = "eval_results"
COLUMNS = ("task", "model", "inference", "metric", "ours (dev)", "mean ± deviation (runs)", "published: set")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """Prints a table of fine-tuning results, one row per run, next to the paper's figures.

        python -m ambert_tf.tasks.report output/*
        python -m ambert_tf.tasks.report --submit output/*

    With --submit, writes the predictions of all tasks into one zip file for CLUE's or FewCLUE's leaderboard instead.

    The arguments are output directories of run_classifier.py, run_squad.py and run_ner.py, evaluated with --do_eval.
    Other directories are named and left out.
    Published figures are marked. They come from larger models with much more pre-training, mostly on test sets; ours
    are on development sets.
    """

    run_dirs: tuple[str, ...] = setting((), "Output directories. --run_dirs= may be omitted.", arguments=True)
    submit: bool = setting(False, "Write a zip file for CLUE's leaderboard from runs with --do_predict.")
    submit_file: str = setting("submit.zip", "Path of the zip file.")

    def validate(self) -> None:
        """Raises an InputError if no run is given."""
        if not self.run_dirs:
            raise InputError("name one or more directories with results: python -m ambert_tf.tasks.report DIR…")


def read_results(directory: str) -> dict[str, Any]:
    """Returns a run's evaluation results.

    Raises:
      InputError: the directory has no evaluation results.
    """
    path = os.path.join(directory, f"{EVAL_RESULTS}.json")
    if not exists(directory):
        raise InputError(f"{directory}: no such directory; name output directories of runs with --do_eval")
    if not exists(path):
        raise InputError(f"{directory}: has no {EVAL_RESULTS}.json; evaluate it with --do_eval")
    results = read_json_object(path)
    missing = {"task_name", "metric", "inference"} - set(results)
    if missing:
        raise InputError(f"{path}: is not an evaluation of fine-tuning: {', '.join(sorted(missing))} missing")
    return results


def table(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the lines of a Markdown table with one row per run, in the order of the tasks."""
    order = {name: index for index, name in enumerate(TASKS)}
    names = [*COLUMNS, *(f"published: {model}" for model in PUBLISHED_MODELS)]
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for found in sorted(results, key=lambda row: order.get(row["task_name"], len(order))):
        metrics = _metrics(found)
        values = "/".join(_percent(found[name]) for name in metrics)
        runs = found.get("runs")
        spread = ""
        if runs:
            spread = f"{_percent(runs['mean'])} ± {_percent(runs['deviation'])} ({runs['count']})"
        published_set, published = PUBLISHED.get(found["task_name"], ("-", ("-",) * len(PUBLISHED_MODELS)))
        row = [found["task_name"], found.get("model_type", ""), found["inference"], "/".join(metrics), values, spread]
        lines.append("| " + " | ".join([*row, published_set, *published]) + " |")
    lines.append("")
    lines.append("Columns marked *published* are the paper's figures, not ours.")
    return lines


def _metrics(results: Mapping[str, Any]) -> list[str]:
    """Returns the names of the task's metrics that were measured, including those on additional sets."""
    task = TASKS.get(results["task_name"])
    names = list(task.metrics) if task else [results["metric"]]
    names += [f"{other}_{task.metrics[0]}" for other in task.also] if task else []
    return [name for name in names if name in results]


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"


def run_report(settings: ReportSettings) -> None:
    """Prints the table, or writes the submission and lists its contents."""
    settings.validate()
    if settings.submit:
        print("\n".join(write_submission(settings.run_dirs, settings.submit_file)))
        return
    results, problems = [], {}
    for directory in settings.run_dirs:
        try:
            results.append(read_results(directory))
        except InputError as error:
            if not exists(directory):
                raise
            problems[directory] = str(error).removeprefix(f"{directory}: ")
    if not results:
        directory, problem = next(iter(problems.items()))
        raise InputError(f"{directory}: {problem}")
    print("\n".join(table(results)))
    for directory, problem in problems.items():
        print(f"not included: {directory} ({problem})")


if __name__ == "__main__":
    run_program(ReportSettings, run_report)
