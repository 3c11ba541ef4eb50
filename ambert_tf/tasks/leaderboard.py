"""Writes the files for submission to leaderboards."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ambert_tf.outputs import atomic_path
from ambert_tf.tasks.declaration import Leaderboard


class Prediction(NamedTuple):
    """The prediction for an example.

    Attributes:
      id: id in the data.
      value: name of the label, score, index of the choice, or text of the answer.
      description: description of the label, if it has one.
    """

    id: int | str
    value: int | float | str
    description: str = ""


def _clue(predictions: Sequence[Prediction]) -> str:
    """Classification in CLUE: JSON lines with `id`, `label` and, if there is a description, `label_desc`."""
    return "".join(
        _line({"id": p.id, "label": p.value, **({"label_desc": p.description} if p.description else {})})
        for p in predictions
    )


def _glue(predictions: Sequence[Prediction]) -> str:
    """GLUE: a table with the columns `index` and `prediction`; scores have three decimals."""
    rows = (f"{p.id}\t{f'{p.value:.3f}' if isinstance(p.value, float) else p.value}\n" for p in predictions)
    return "index\tprediction\n" + "".join(rows)


def _by_id(predictions: Sequence[Prediction]) -> str:
    """ChID and CMRC2018 in CLUE: a JSON object of choices or answers by id."""
    return json.dumps({str(p.id): p.value for p in predictions}, ensure_ascii=False, indent=2) + "\n"


def _choice_lines(predictions: Sequence[Prediction]) -> str:
    """C3 in CLUE: JSON lines with `id` and `label`, the index of the choice."""
    return "".join(_line({"id": p.id, "label": p.value}) for p in predictions)


def _answer_lines(predictions: Sequence[Prediction]) -> str:
    """ChID in FewCLUE: JSON lines with `id` and `answer`, the index of the choice."""
    return "".join(_line({"id": p.id, "answer": p.value}) for p in predictions)


FORMATS: Mapping[str, Callable[[Sequence[Prediction]], str]] = {
    "clue": _clue,
    "glue": _glue,
    "choice_by_id": _by_id,
    "text_by_id": _by_id,
    "choice_lines": _choice_lines,
    "answer_lines": _answer_lines,
}


def file_names(leaderboard: Leaderboard, test_file: str) -> tuple[str, ...]:
    """Returns the file names to write for a test file: one without a version, and one with the test file's version."""
    if not leaderboard.versions:
        return (leaderboard.file,)
    base = os.path.basename(test_file)
    version = next((v for v in leaderboard.versions if v in base), list(leaderboard.versions)[-1])
    return leaderboard.file, leaderboard.versions[version]


def write_leaderboard_files(
    output_dir: str, leaderboard: Leaderboard, predictions: Sequence[Prediction], test_file: str
) -> list[str]:
    """Writes the files for a leaderboard and returns their paths.

    Args:
      output_dir: directory to write to.
      leaderboard: file names and format.
      predictions: predictions in the order of the test file.
      test_file: name of the test file, from which the version of CLUE (1.0 or 1.1) is taken.
    """
    content = FORMATS[leaderboard.format](predictions)
    paths = [os.path.join(output_dir, name) for name in file_names(leaderboard, test_file)]
    for path in paths:
        with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.write(content)
    return paths


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
