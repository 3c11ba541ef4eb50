"""Zip files with the predictions of several tasks, for submission to the leaderboards of CLUE and FewCLUE."""

import io
import json
import os
import zipfile
from collections.abc import Mapping, Sequence

from ambert_tf.errors import InputError
from ambert_tf.files import exists, read_bytes
from ambert_tf.outputs import atomic_path
from ambert_tf.tasks import clue, fewclue
from ambert_tf.tasks.declaration import Task
from ambert_tf.tasks.reading_comprehension import CMRC2018

BENCHMARKS: Mapping[str, tuple[Task, ...]] = {"CLUE": (*clue.TASKS, CMRC2018), "FewCLUE": fewclue.TASKS}


def write_submission(directories: Sequence[str], path: str) -> list[str]:
    """Writes a zip file with the leaderboard files of several output directories.

    For some tasks, CLUE's file names contain the version of the test set. Only the versioned files of these tasks are
    submitted. Directories without leaderboard files are left out.

    Args:
      directories: output directories of runs with --do_predict.
      path: path of the zip file.

    Returns:
      The lines of a description of the contents, and of what was left out.

    Raises:
      InputError: no directory has such a file, a directory does not exist, two directories have the same file, or the
        files belong to different leaderboards.
    """
    found: dict[str, str] = {}
    benchmarks: dict[str, str] = {}
    unused: list[str] = []
    for directory in directories:
        if not exists(directory):
            raise InputError(f"{directory}: no such directory; name output directories of runs with --do_predict")
        names = [
            (benchmark, name)
            for benchmark, tasks in BENCHMARKS.items()
            for task in tasks
            for name in _file_names(task)
            if exists(os.path.join(directory, name))
        ]
        if not names:
            unused.append(directory)
        for benchmark, name in names:
            if name in found:
                raise InputError(f"{name} is in {os.path.dirname(found[name])} and in {directory}; omit one of them")
            found[name] = os.path.join(directory, name)
            benchmarks.setdefault(benchmark, directory)
    lacking = f"has no file for the leaderboard of {' or '.join(BENCHMARKS)}"
    if not found:
        raise InputError(f"{unused[0]}: {lacking}, such as afqmc_predict.json; predict a test set with --do_predict")
    if len(benchmarks) > 1:
        places = " and ".join(f"{directory} for {benchmark}" for benchmark, directory in benchmarks.items())
        raise InputError(f"the files are for different leaderboards: {places}; write one submission for each")
    (benchmark,) = benchmarks
    buffer = io.BytesIO()
    lines = [f"{benchmark} submission {path}:"]
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for task in BENCHMARKS[benchmark]:
            for name in filter(found.__contains__, _file_names(task)):
                content = read_bytes(found[name])
                lines.append(f"  {name}: {_count(content, found[name])} predictions from {found[name]}")
                # A fixed timestamp, so that the same predictions produce the same file.
                info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                info.external_attr = 0o644 << 16
                archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    missing = [task.name for task in BENCHMARKS[benchmark] if not found.keys() & set(_file_names(task))]
    if missing:
        lines.append(f"  not included: {', '.join(missing)}")
    lines += [f"  not included: {directory} ({lacking})" for directory in unused]
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(buffer.getvalue())
    return lines


def _file_names(task: Task) -> tuple[str, ...]:
    if task.leaderboard is None:
        return ()
    return tuple(task.leaderboard.versions.values()) or (task.leaderboard.file,)


def _count(content: bytes, path: str) -> int:
    """Returns the number of predictions in a file: JSON lines, or one JSON object by id."""
    try:
        lines = [json.loads(line) for line in content.splitlines() if line.strip().startswith(b'{"')]
        if lines:
            return len(lines)
        predictions = json.loads(content)
    except ValueError as error:
        raise InputError(f"{path}: is damaged ({error}); predict again with --do_predict") from None
    if not predictions or not isinstance(predictions, dict):
        raise InputError(f"{path}: has no predictions; predict again with --do_predict")
    return len(predictions)
