"""Local and remote files and directories (gs://): names, reading and checks of inputs."""

import contextlib
import glob
import json
import os
import re
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO

from ambert_tf.errors import InputError, one_line

_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def check_tensorflow_path(path: str, flag: str) -> None:
    """Checks that TensorFlow can read checkpoints and SavedModels under a path.

    It looks for the files of a checkpoint by a pattern, in which the characters of the path cannot be escaped.

    Args:
      path: a file or directory, which need not exist.
      flag: the flag that named it, for error messages.

    Raises:
      InputError: the absolute path contains a character that is special in a pattern.
    """
    if set("*?[\\") & set(path if is_remote(path) else os.path.abspath(path)):
        raise InputError(
            f"--{flag}={path}: TensorFlow cannot read checkpoints under a name with * ? [ or \\; choose another"
        )


def is_remote(name: str) -> bool:
    """Returns whether a name is a URL such as gs://bucket/corpus.txt, to be accessed with TensorFlow's file systems.

    TensorFlow itself supports gs://. Plug-ins such as tensorflow-io add others.
    """
    return "://" in name


def open_input(name: str) -> BinaryIO:
    """Opens a local or remote file for reading bytes."""
    if not is_remote(name):
        return open(name, "rb")
    import tensorflow as tf

    return tf.io.gfile.GFile(name, "rb")


def read_bytes(name: str) -> bytes:
    """Returns the contents of a local or remote file."""
    with open_input(name) as file:
        return file.read()


def parse_json(text: str | bytes) -> Any:
    """Parses JSON. Errors, including some that Python's parser accepts or reports differently, raise a ValueError.

    A lone surrogate, such as "\\ud83d", is not a character. Python parses it, but UTF-8 cannot encode it.
    """
    text = text if isinstance(text, str) else text.decode("utf-8")
    try:
        value = json.loads(text)
        if _SURROGATE_ESCAPE.search(text) and (half := _SURROGATE.search(json.dumps(value, ensure_ascii=False))):
            raise ValueError(f"it contains the lone surrogate \\u{ord(half[0]):x}, which is not a character")
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


@contextlib.contextmanager
def local_copy(name: str) -> Iterator[str]:
    """Context manager that returns a local copy of a file, for libraries that only read local files."""
    if not is_remote(name):
        yield name
        return
    import tensorflow as tf

    with tempfile.TemporaryDirectory(prefix="ambert-") as directory:
        local = os.path.join(directory, os.path.basename(name))
        tf.io.gfile.copy(name, local)
        yield local


def read_json_object(name: str, flag: str | None = None) -> dict[str, Any]:
    """Returns the JSON object in a local or remote file.

    Args:
      name: the file.
      flag: the flag that named it, if a missing file is a user error.

    Raises:
      InputError: the file cannot be read, or does not contain a JSON object.
    """
    if flag is not None:
        check_input_file(name, flag)
    try:
        found = parse_json(read_bytes(name))
    except ValueError as error:
        raise InputError(f"{name}: is not valid JSON ({one_line(error)[:200]})") from None
    if not isinstance(found, dict):
        raise InputError(f"{name}: is not a JSON object")
    return found


def exists(path: str) -> bool:
    """Returns whether a local or remote path exists."""
    if not is_remote(path):
        return os.path.exists(path)
    import tensorflow as tf

    return tf.io.gfile.exists(path)


def is_directory(path: str) -> bool:
    """Returns whether a local or remote path is a directory."""
    if not is_remote(path):
        return os.path.isdir(path)
    import tensorflow as tf

    return tf.io.gfile.isdir(path)


def is_file(path: str) -> bool:
    """Returns whether a local or remote path is a file."""
    return os.path.isfile(path) if not is_remote(path) else exists(path) and not is_directory(path)


def list_directory(path: str) -> list[str]:
    """Returns the sorted names in a local or remote directory."""
    if not is_remote(path):
        return sorted(os.listdir(path))
    import tensorflow as tf

    return sorted(name.rstrip("/") for name in tf.io.gfile.listdir(path))


def file_size(name: str) -> int:
    """Returns the size of a local or remote file in bytes."""
    return file_version(name)[0]


def file_version(name: str) -> tuple[int, int]:
    """Returns the size of a local or remote file in bytes and its modification time in nanoseconds."""
    if not is_remote(name):
        status = os.stat(name)
        return status.st_size, status.st_mtime_ns
    import tensorflow as tf

    remote = tf.io.gfile.stat(name)
    return remote.length, remote.mtime_nsec


def input_files(pattern: str, flag: str, allow_empty: bool = False) -> list[str]:
    """Returns the files that match a comma-separated list of names and glob patterns, sorted, each file once.

    Args:
      pattern: the user's list, such as `corpus/*.txt,more.txt.gz`.
      flag: the flag of the pattern, for error messages.
      allow_empty: whether to include empty files.

    Raises:
      InputError: part of the pattern matches no file, or a file is a directory, cannot be read or is empty.
    """
    found: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in (pattern or "").split(","))):
        with _remote_errors(part, flag):
            matches = _matching_files(part) if glob.has_magic(part) and not exists(part) else [part]
        if not matches:
            raise InputError(f"--{flag}={part}: no file matches this pattern")
        for name in matches:
            found.setdefault(real_path(name), check_input_file(name, flag, allow_empty))
    if not found:
        raise InputError(f"--{flag}: names no file; a file or a pattern such as 'corpus/*.txt' is expected")
    return sorted(found.values())


def real_path(name: str) -> str:
    """Returns one name for all spellings of a file's name."""
    return name if is_remote(name) else os.path.realpath(name)


def _matching_files(pattern: str) -> list[str]:
    if not is_remote(pattern):
        names = glob.glob(pattern, recursive=True)
    else:
        import tensorflow as tf

        names = tf.io.gfile.glob(pattern)
    return [name for name in names if not is_directory(name)]


def check_input_file(name: str, flag: str, allow_empty: bool = False) -> str:
    """Returns `name` if it is a readable local or remote file and, unless `allow_empty`, not empty.

    Raises:
      InputError: the file does not exist, is a directory, cannot be read or is empty.
    """
    with _remote_errors(name, flag):
        if is_directory(name):
            pattern = os.path.join(name, "*")
            raise InputError(f"--{flag}={name}: is a directory; name a file, or a pattern such as '{pattern}'")
        if not exists(name):
            raise InputError(f"--{flag}={name}: no such file")
        if not is_remote(name) and not os.access(name, os.R_OK):
            raise InputError(f"--{flag}={name}: cannot be read (permission denied)")
        # A pipe has no size.
        if not allow_empty and (is_remote(name) or os.path.isfile(name)) and not file_size(name):
            raise InputError(f"--{flag}={name}: is an empty file")
    return name


@contextlib.contextmanager
def _remote_errors(name: str, flag: str) -> Iterator[None]:
    """Context manager that converts errors of TensorFlow's file systems to an InputError."""
    try:
        yield
    except Exception as error:
        if is_remote(name) and not isinstance(error, InputError):
            raise InputError(f"--{flag}={name}: cannot be read ({one_line(error)})") from None
        raise
