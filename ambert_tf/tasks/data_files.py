"""Finds the files of a task's splits: in `--data_dir`, in the default place, or where a flag says."""

import os
from collections.abc import Iterator, Sequence

from ambert_tf.errors import InputError
from ambert_tf.tasks.declaration import FILE_FLAGS, SPLITS, Task
from ambert_tf.tasks.json_lines import Record

# Subdirectories of the default data directory in which official downloads are looked for.
COLLECTIONS = ("", "clue", "CLUE", "CLUEdataset", "CLUEdatasets", "glue", "GLUE", "glue_data")


def data_root() -> str:
    """Returns where downloads are looked for without --data_dir: `$AMBERT_DATA`, or `data` in the current directory."""
    return os.environ.get("AMBERT_DATA") or "data"


def find_data_dir(task: Task) -> str | None:
    """Returns the first directory in the default place that has a file of the task; None if there is none."""
    for collection in COLLECTIONS:
        for name in (*task.directories, task.name):
            directory = os.path.join(data_root(), collection, name)
            if any(find_files(task, directory, split) for split in SPLITS):
                return directory
    return None


def find_files(task: Task, data_dir: str, split: str) -> tuple[str, ...]:
    """Returns the paths of a split's files in a directory, of the first choice that is there as a whole; else none."""
    for names in task.files.get(split, ()):
        paths = tuple(os.path.join(data_dir, name) for name in names)
        if all(os.path.exists(path) for path in paths):
            return paths
    return ()


def split_files(task: Task, data_dir: str, split: str, names: str | None = None) -> tuple[str, ...]:
    """Returns the files of a split.

    Args:
      task: its declaration.
      data_dir: where its files are.
      split: `train`, `dev` or `test`.
      names: other files, separated by commas, in `data_dir` or anywhere; the declared ones by default.

    Raises:
      InputError: there is no such file; the error says which files are expected and where to get them.
    """
    flag = FILE_FLAGS[split]
    if names:
        return tuple(_named_file(name.strip(), data_dir, flag) for name in names.split(",") if name.strip())
    if not data_dir:
        raise InputError(f"--data_dir is needed: the directory with {expected_files(task)}")
    if not os.path.isdir(data_dir):
        raise InputError(f"--data_dir={data_dir}: no such directory; one with {expected_files(task)} is needed")
    if split not in task.files:
        raise InputError(
            f"--task_name={task.name}: has no {split} files"
            + (f"; it is for models of {task.trained_as}" if task.trained_as else f"; name one by --{flag}")
        )
    paths = find_files(task, data_dir, split)
    if not paths:
        choices = " or ".join(" and ".join(names) for names in task.files[split])
        raise InputError(
            f"--data_dir={data_dir}: has no {choices}; {expected_files(task)} are expected; another file is named "
            f"by --{flag}"
        )
    return paths


def expected_files(task: Task) -> str:
    """Returns in words which files a task has, and where they are to be had."""
    first = [name for split in SPLITS for name in (task.files[split][0] if split in task.files else ())]
    first += task.companions
    where = f" (official download: {task.download_page})" if task.download_page else ""
    return f"{task.name}'s files {', '.join(first)}{where}"


def _named_file(name: str, data_dir: str, flag: str) -> str:
    inside = os.path.join(data_dir, name)
    if os.path.exists(inside) or not os.path.exists(name):
        name = inside
    if not os.path.exists(name):
        raise InputError(f"--{flag}={name}: no such file")
    return name


def file_records(task: Task, paths: Sequence[str], split: str) -> Iterator[Record]:
    """Yields the records of a split's files."""
    for path in paths:
        yield from task.records(path, FILE_FLAGS[split])
