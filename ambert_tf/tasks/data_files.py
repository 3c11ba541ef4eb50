"""Finds the files of a task's splits: in `--data_dir`, in the default data directory, or as named by a flag."""

import os
from collections.abc import Iterator, Sequence

from ambert_tf.errors import InputError
from ambert_tf.files import exists, is_directory
from ambert_tf.models.task_config import SPANS
from ambert_tf.tasks.declaration import FILE_FLAGS, SPLITS, Task
from ambert_tf.tasks.json_lines import Record

# Subdirectories of the default data directory that are searched for official downloads.
COLLECTIONS = ("", "clue", "CLUE", "CLUEdataset", "CLUEdatasets", "glue", "GLUE", "glue_data")


def data_root() -> str:
    """Returns the default data directory: `$AMBERT_DATA`, or `data` in the current directory."""
    return os.environ.get("AMBERT_DATA") or "data"


def find_data_dir(task: Task) -> str | None:
    """Returns the first directory under the default data directory that has a file of the task, or None."""
    for collection in COLLECTIONS:
        for name in (*task.directories, task.name):
            directory = os.path.join(data_root(), collection, name)
            if any(find_files(task, directory, split) for split in SPLITS):
                return directory
    return None


def find_files(task: Task, data_dir: str, split: str) -> tuple[str, ...]:
    """Returns the paths of a split's files in a directory: the first complete alternative, or ()."""
    for names in task.files.get(split, ()):
        paths = tuple(os.path.join(data_dir, name) for name in names)
        if all(exists(path) for path in paths):
            return paths
    return ()


def split_files(task: Task, data_dir: str, split: str, names: str | None = None) -> tuple[str, ...]:
    """Returns the paths of a split's files.

    Args:
      task: declaration of the task.
      data_dir: directory of its files.
      split: `train`, `dev` or `test`.
      names: comma-separated paths, absolute or relative to `data_dir`. Defaults to the declared files.

    Raises:
      InputError: a file is missing. The error says which files are expected and where to get them.
    """
    flag = FILE_FLAGS[split]
    if names:
        return tuple(_named_file(name.strip(), data_dir, flag) for name in names.split(",") if name.strip())
    if not data_dir:
        raise InputError(f"--data_dir is needed: the directory with {expected_files(task)}")
    if not is_directory(data_dir):
        raise InputError(f"--data_dir={data_dir}: no such directory; one with {expected_files(task)} is expected")
    if split not in task.files:
        raise InputError(
            f"--task_name={task.name}: has no {split} files"
            + (f"; it is for models of {task.trained_as}" if task.trained_as else f"; name one with --{flag}")
        )
    paths = find_files(task, data_dir, split)
    if not paths:
        choices = " or ".join(" and ".join(names) for names in task.files[split])
        raise InputError(
            f"--data_dir={data_dir}: has no {choices}; {expected_files(task)} are expected; name another file with "
            f"--{flag}"
        )
    return paths


def expected_files(task: Task) -> str:
    """Returns a description of a task's files and where to download them, for error messages."""
    first = [name for split in SPLITS for name in (task.files[split][0] if split in task.files else ())]
    first += task.companions
    where = f" (official download: {task.download_page})" if task.download_page else ""
    return f"{task.name}'s files {', '.join(first)}{where}"


def _named_file(name: str, data_dir: str, flag: str) -> str:
    inside = os.path.join(data_dir, name)
    if exists(inside) or not exists(name):
        name = inside
    if not exists(name):
        raise InputError(f"--{flag}={name}: no such file")
    return name


def file_records(task: Task, paths: Sequence[str], split: str) -> Iterator[Record]:
    """Yields the records of a split's files.

    Raises:
      InputError: a file is invalid, or two records to predict have the same id and predictions are written by id.
    """
    by_id = task.form == SPANS or (task.leaderboard is not None and task.leaderboard.format.endswith("_by_id"))
    seen: dict[str, str] = {}
    for path in paths:
        for record in task.records(path, FILE_FLAGS[split]):
            if by_id and split != "train":
                # JSON keys are strings, so 1 and "1" are the same id.
                name = str(record.content["id"])
                if name in seen:
                    raise record.error(f"the id {name} is used twice, also in {seen[name]}; ids must be unique")
                seen[name] = path
            yield record
