"""Files and directories, local or remote (gs://), and atomic writes."""

import contextlib
import errno
import glob
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO

from ambert_tf.errors import InputError, one_line, write_problem

_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


@contextlib.contextmanager
def atomic_path(path: str) -> Iterator[str]:
    """Yields a temporary local name. It is renamed to `path` on success and removed on failure.

    The temporary name keeps the extension of `path`, because some libraries depend on it. The caller creates a file or
    a directory there. An existing file or directory at `path` is replaced. If `path` is a symbolic link, its target is
    replaced and the link remains. If `path` is remote, the result is uploaded on success.

    Raises:
      InputError: `path` cannot be written, because its directory cannot be created or is read-only, the disk is full,
        or `path` is a directory and the caller wrote a file, or vice versa.
      OSError: any other OSError of the body, with `path` in place of the temporary name.
    """
    remote = is_remote(path)
    path = path.rstrip("/") if remote else os.path.abspath(path)
    name = os.path.basename(path)
    if remote:
        staging = tempfile.mkdtemp(prefix="ambert-")
        temporary = os.path.join(staging, name)
    else:
        target = os.path.realpath(path)
        directory = os.path.dirname(target)
        make_directory(directory)
        check_writable(directory)
        stem, extension = os.path.splitext(name)
        temporary = os.path.join(directory, f".{stem}.tmp-{os.getpid()}{extension}")
    try:
        yield temporary
        if remote:
            _upload(temporary, path)
        elif os.path.isdir(temporary):
            _replace_directory(temporary, target)
        elif os.path.isdir(target):
            raise InputError(f"{path}: is a directory where a file is to be written")
        else:
            os.replace(temporary, target)
    except Exception as error:
        # Report the name given by the user rather than the temporary one.
        if isinstance(error, InputError):
            if temporary in str(error):
                raise InputError(str(error).replace(temporary, path)) from error
            raise
        problem = write_problem(error)
        if problem is not None:
            raise InputError(f"{path}: {problem}") from error
        if isinstance(error, OSError):
            if error.filename == temporary:
                error.filename = path
        elif os.strerror(errno.EACCES) in str(error) and temporary in str(error):
            raise InputError(f"{path}: cannot be written ({os.strerror(errno.EACCES)})") from error
        raise
    finally:
        if remote:
            shutil.rmtree(staging, ignore_errors=True)
        elif os.path.isdir(temporary):
            shutil.rmtree(temporary, ignore_errors=True)
        elif os.path.lexists(temporary):
            os.remove(temporary)


def _upload(source: str, path: str) -> None:
    """Copies a local file or directory to a remote path, replacing existing files. A partial copy is removed."""
    import tensorflow as tf

    gfile = tf.io.gfile
    if not os.path.isdir(source):
        if gfile.isdir(path):
            raise InputError(f"{path}: is a directory where a file is to be written")
        gfile.makedirs(os.path.dirname(path))
        _upload_file(source, path)
        return
    if gfile.exists(path) and not gfile.isdir(path):
        raise InputError(f"{path}: is a file where a directory is to be written")
    old = {os.path.join(top, name) for top, _, names in gfile.walk(path) for name in names}
    new = set()
    try:
        for top, _, names in os.walk(source):
            target = os.path.join(path, os.path.relpath(top, source)).removesuffix("/.")
            gfile.makedirs(target)
            for name in sorted(names):
                new.add(os.path.join(target, name))
                _upload_file(os.path.join(top, name), os.path.join(target, name))
    except Exception:
        for name in filter(gfile.exists, new - old):
            gfile.remove(name)
        raise
    for name in old - new:
        gfile.remove(name)


def _upload_file(source: str, path: str) -> None:
    import tensorflow as tf

    # Not every file system replaces a file in one step.
    temporary = f"{path}.tmp-{os.getpid()}"
    try:
        tf.io.gfile.copy(source, temporary, overwrite=True)
        tf.io.gfile.rename(temporary, path, overwrite=True)
    except Exception:
        with contextlib.suppress(tf.errors.OpError):
            tf.io.gfile.remove(temporary)
        raise


def _replace_directory(new: str, path: str) -> None:
    """Renames the directory `new` to `path`. An old directory at `path` is deleted only afterwards."""
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
    """Creates a directory and its parents, unless they exist.

    Raises:
      InputError: the directory cannot be created, or the path is a file.
    """
    if is_remote(path):
        import tensorflow as tf

        if tf.io.gfile.exists(path) and not tf.io.gfile.isdir(path):
            raise InputError(f"{path}: is a file where a directory is needed")
        tf.io.gfile.makedirs(path)
        return
    try:
        os.makedirs(path, exist_ok=True)
    except FileExistsError:
        raise InputError(f"{path}: is a file where a directory is needed") from None
    except OSError as error:
        reason = write_problem(error) or os.strerror(error.errno or 0)
        raise InputError(f"{path}: cannot create the directory: {reason}") from None


def remove(path: str) -> None:
    """Removes a local or remote file or directory, ignoring errors."""
    if not is_remote(path):
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                os.remove(path)
        return
    import tensorflow as tf

    with contextlib.suppress(tf.errors.OpError):
        (tf.io.gfile.rmtree if tf.io.gfile.isdir(path) else tf.io.gfile.remove)(path)


def check_writable(path: str, flag: str | None = None) -> None:
    """Checks that a directory, or its nearest existing parent, is writable, before starting hours of work.

    Args:
      path: a directory, which need not exist. Remote directories are not checked.
      flag: the flag that named it, for error messages.

    Raises:
      InputError: the path is a file, or is not writable.
    """
    if is_remote(path):
        return
    prefix = f"--{flag}={path}: " if flag else ""
    existing = os.path.abspath(path)
    while not os.path.lexists(existing):
        existing = os.path.dirname(existing)
    if not os.path.isdir(existing):
        raise InputError(f"{prefix}{existing} is a file where a directory is needed")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"{prefix}{existing} is not writable; choose another directory")


def check_replaceable(path: str, flag: str) -> None:
    """Checks that `atomic_path` can create or replace a directory, before starting hours of work.

    Args:
      path: the directory, which need not exist. Remote directories are not checked.
      flag: the flag that named it, for error messages.

    Raises:
      InputError: the path is a file or a mount point, or the directory or its parent is not writable.
    """
    if is_remote(path):
        return
    if os.path.ismount(os.path.realpath(path)):  # never true for a symbolic link itself
        raise InputError(f"--{flag}={path}: is a mount point, which cannot be replaced; name a directory in it")
    check_writable(path, flag)
    try:
        # The new directory is created next to the old one and renamed.
        check_writable(os.path.dirname(os.path.realpath(path)))
    except InputError as error:
        raise InputError(f"--{flag}={path}: {error}") from None


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
