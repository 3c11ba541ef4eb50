"""Reading and writing files so that nothing is lost or half-written."""

import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from ambert_tf.errors import InputError


@contextmanager
def atomic_path(path: str) -> Iterator[str]:
    """Yields a temporary name beside `path`; renames it to `path` on success and removes it on failure.

    The temporary name keeps the ending of `path`, so that libraries which look at it behave alike.
    Works for a file and for a directory that the caller makes under the temporary name; an existing
    directory at `path` is replaced.

    Raises:
      InputError: the directory of `path` cannot be made or written.
    """
    directory = os.path.dirname(os.path.abspath(path))
    make_directory(directory)
    stem, ending = os.path.splitext(os.path.basename(path))
    temporary = os.path.join(directory, f".{stem}.tmp-{os.getpid()}{ending}")
    try:
        yield temporary
        if os.path.isdir(temporary) and os.path.isdir(path):
            retired = tempfile.mkdtemp(prefix=f".{stem}.old-", dir=directory)
            os.rename(path, os.path.join(retired, "old"))
            os.rename(temporary, path)
            shutil.rmtree(retired)
        else:
            os.replace(temporary, path)
    finally:
        if os.path.isdir(temporary):
            shutil.rmtree(temporary, ignore_errors=True)
        elif os.path.lexists(temporary):
            os.remove(temporary)


def make_directory(path: str) -> None:
    """Makes a directory with its parents; one that exists is fine.

    Raises:
      InputError: it cannot be made, or is a file.
    """
    try:
        os.makedirs(path, exist_ok=True)
    except FileExistsError:
        raise InputError(f"{path}: is a file where a directory is needed") from None
    except OSError as error:
        raise InputError(f"{path}: cannot make this directory ({os.strerror(error.errno or 0)})") from None


def input_files(pattern: str, flag: str) -> list[str]:
    """Returns the files that a comma-separated list of names and glob patterns stands for, sorted, each once.

    Args:
      pattern: as given by the user, such as `corpus/*.txt,more.txt.gz`.
      flag: the flag it came from, for the error.

    Raises:
      InputError: a part matches nothing, is a directory, cannot be read or is empty.
    """
    found: set[str] = set()
    for part in filter(None, (piece.strip() for piece in (pattern or "").split(","))):
        matches = glob.glob(part, recursive=True) if glob.has_magic(part) and not os.path.exists(part) else [part]
        if not matches:
            raise InputError(f"--{flag}={part}: no file matches this pattern")
        for name in matches:
            found.add(check_input_file(name, flag))
    if not found:
        raise InputError(f"--{flag}: no file is named; give a file name or a pattern such as 'corpus/*.txt'")
    return sorted(found)


def check_input_file(name: str, flag: str) -> str:
    """Returns `name` if it is a readable file with content.

    Raises:
      InputError: it does not exist, is a directory, cannot be read or is empty.
    """
    if os.path.isdir(name):
        raise InputError(f"--{flag}={name}: is a directory; name a file, or a pattern such as '{name.rstrip('/')}/*'")
    if not os.path.exists(name):
        raise InputError(f"--{flag}={name}: no such file")
    if not os.access(name, os.R_OK):
        raise InputError(f"--{flag}={name}: cannot be read (permission denied)")
    if os.path.isfile(name) and os.path.getsize(name) == 0:
        raise InputError(f"--{flag}={name}: is an empty file")
    return name
