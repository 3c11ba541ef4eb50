"""Reading and writing files so that nothing is lost or half-written."""

import errno
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from ambert_tf.errors import InputError

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic_path(path: str) -> Iterator[str]:
    """Yields a temporary name beside `path`; renames it to `path` on success and removes it on failure.

    The temporary name keeps the ending of `path`, so that libraries which look at it behave alike.
    Works for a file and for a directory that the caller makes under the temporary name; an existing
    directory at `path` is replaced.

    Raises:
      InputError: the directory of `path` cannot be made, or a file was written where a directory stands, or
        the other way round.
      OSError: whatever the body raised, with `path` for the file's name where it was the temporary one.
    """
    path = os.path.abspath(path)
    directory, name = os.path.split(path)
    make_directory(directory)
    stem, ending = os.path.splitext(name)
    temporary = os.path.join(directory, f".{stem}.tmp-{os.getpid()}{ending}")
    try:
        yield temporary
        if os.path.isdir(temporary):
            _replace_directory(temporary, path)
        elif os.path.isdir(path):
            raise InputError(f"{path}: is a directory where a file is to be written")
        else:
            os.replace(temporary, path)
    except OSError as error:
        # The user knows the name they gave, not the temporary one; a failed write carries no name at all.
        if error.filename == temporary or (error.filename is None and error.errno in _DISK_FULL):
            error.filename = path
        raise
    finally:
        if os.path.isdir(temporary):
            shutil.rmtree(temporary, ignore_errors=True)
        elif os.path.lexists(temporary):
            os.remove(temporary)


def _replace_directory(new: str, path: str) -> None:
    """Renames the directory `new` to `path`; one that is there goes away only after that."""
    if not os.path.lexists(path):
        os.rename(new, path)
        return
    if not os.path.isdir(path):
        raise InputError(f"{path}: is a file where a directory is to be written")
    retired = tempfile.mkdtemp(prefix=f".{os.path.basename(path)}.old-", dir=os.path.dirname(path))
    old = os.path.join(retired, "old")
    os.rename(path, old)
    try:
        os.rename(new, path)
    except OSError:
        os.rename(old, path)
        os.rmdir(retired)
        raise
    shutil.rmtree(retired)


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


def is_remote(name: str) -> bool:
    """Whether a name is that of a file outside of this machine's file system, such as gs://bucket/corpus.txt.

    TensorFlow reads and writes those of Google's storage; a plug-in such as tensorflow-io adds others.
    """
    return "://" in name


def open_input(name: str) -> BinaryIO:
    """Opens a file to read its bytes, a remote one too."""
    if not is_remote(name):
        return open(name, "rb")
    import tensorflow as tf

    return tf.io.gfile.GFile(name, "rb")


def exists(name: str) -> bool:
    """Returns whether there is a file or a directory of this name, a remote one too."""
    if not is_remote(name):
        return os.path.exists(name)
    import tensorflow as tf

    return tf.io.gfile.exists(name)


def is_directory(name: str) -> bool:
    """Returns whether there is a directory of this name, a remote one too."""
    if not is_remote(name):
        return os.path.isdir(name)
    import tensorflow as tf

    return tf.io.gfile.isdir(name)


def file_size(name: str) -> int:
    """Returns the size of a file in bytes, of a remote one too."""
    return file_version(name)[0]


def file_version(name: str) -> tuple[int, int]:
    """Returns the size of a file in bytes and the time of its last change in nanoseconds, of a remote one too."""
    if not is_remote(name):
        status = os.stat(name)
        return status.st_size, status.st_mtime_ns
    import tensorflow as tf

    remote = tf.io.gfile.stat(name)
    return remote.length, remote.mtime_nsec


def input_files(pattern: str, flag: str) -> list[str]:
    """Returns the files that a comma-separated list of names and glob patterns stands for, sorted, each once.

    Args:
      pattern: as given by the user, such as `corpus/*.txt,more.txt.gz`.
      flag: the flag it came from, for the error.

    Raises:
      InputError: a part matches no file, is a directory, cannot be read or is empty.
    """
    found: set[str] = set()
    for part in filter(None, (piece.strip() for piece in (pattern or "").split(","))):
        if is_remote(part):
            matches = _matching_remote_files(part, flag)
        elif os.path.exists(part) or not glob.has_magic(part):
            matches = [part]
        else:
            matches = [name for name in glob.glob(part, recursive=True) if not os.path.isdir(name)]
        if not matches:
            raise InputError(f"--{flag}={part}: no file matches this pattern")
        found.update(name if is_remote(name) else check_input_file(name, flag) for name in matches)
    if not found:
        raise InputError(f"--{flag}: no file is named; give a file name or a pattern such as 'corpus/*.txt'")
    return sorted(found)


def _matching_remote_files(pattern: str, flag: str) -> list[str]:
    """Returns the remote files, not empty, that match a pattern."""
    import tensorflow as tf

    try:
        names = [name for name in tf.io.gfile.glob(pattern) if not tf.io.gfile.isdir(name)]
        empty = [name for name in names if not file_size(name)]
    except tf.errors.OpError as error:
        raise InputError(f"--{flag}={pattern}: cannot be read ({error.message})") from None
    if empty:
        raise InputError(f"--{flag}={empty[0]}: is an empty file")
    return names


def check_input_file(name: str, flag: str) -> str:
    """Returns `name` if it is a readable file with content.

    Raises:
      InputError: it does not exist, is a directory, cannot be read or is empty.
    """
    if is_directory(name):
        pattern = os.path.join(name, "*")
        raise InputError(f"--{flag}={name}: is a directory; name a file, or a pattern such as '{pattern}'")
    if not exists(name):
        raise InputError(f"--{flag}={name}: no such file")
    if is_remote(name):
        empty = file_size(name) == 0
    elif not os.access(name, os.R_OK):
        raise InputError(f"--{flag}={name}: cannot be read (permission denied)")
    else:
        # A pipe has no size.
        empty = os.path.isfile(name) and os.path.getsize(name) == 0
    if empty:
        raise InputError(f"--{flag}={name}: is an empty file")
    return name
