"""Outputs: atomic writes to local and remote files and directories, and checks before the work starts."""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator

from ambert_tf.errors import InputError, write_problem
from ambert_tf.files import is_remote


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
