"""Makes TensorFlow's import quiet, and faster in this project's programs.

On machines without a GPU, TensorFlow's messages about missing GPUs and CPU instructions are hidden. On machines with a
GPU they are kept, because they may explain why it is not used. TF_CPP_MIN_LOG_LEVEL overrides this.
"""

import contextlib
import glob
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

from ambert_tf.import_hooks import around_import

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_NO_LOG = "3"  # the only level that hides the error "failed call to cuInit"
_GPU_FILES = ("/dev/nvidia[0-9]*", "/proc/driver/nvidia/version", "/dev/dxg", "/dev/kfd")

# Keras imports these if they are installed: for its scikit-learn wrappers, for image galleries, and for data frames as
# inputs. They take a third of the time of importing TensorFlow.
_OPTIONAL_PACKAGES = ("matplotlib", "pandas", "sklearn")

# TensorFlow logs these lines during its import, before it reads the log level.
_NOISE = "|".join(
    (
        r"^WARNING: All log messages before absl::InitializeLog\(\)",
        r"cudart_stub\.cc:",
        r"cuda_(platform|fft|dnn|blas)\.cc:",
        r"cpu_feature_guard\.cc:",
        r"^To enable the following instructions:",
        r"oneDNN custom operations are on",
    )
)


def quiet_tensorflow() -> None:
    """Makes TensorFlow's import quiet in this process and its children. Call it before the import."""
    if not any(glob.glob(pattern) for pattern in _GPU_FILES):
        os.environ.setdefault(_LEVEL, _NO_LOG)
    if os.environ.get(_LEVEL, "") >= "2" and "tensorflow" not in sys.modules:
        around_import("tensorflow", _import_filtered)


def import_keras_alone() -> None:
    """Makes the first import of Keras leave out packages that it does not need. For programs, not for libraries.

    Afterwards, they can be imported as usual, but Keras does without them.
    """
    if "keras" not in sys.modules:
        around_import("keras", _import_alone)


def _import_alone(execute: Callable[[], None]) -> None:
    modules: dict[str, Any] = sys.modules
    absent = [name for name in _OPTIONAL_PACKAGES if name not in modules]
    modules.update(dict.fromkeys(absent))  # importing a module that is None raises an ImportError
    try:
        execute()
    finally:
        for name in absent:
            if modules.get(name) is None:
                modules.pop(name, None)


def _import_filtered(execute: Callable[[], None]) -> None:
    with _filtered_stderr():
        execute()


@contextlib.contextmanager
def _filtered_stderr() -> Iterator[None]:
    """Filters the output to file descriptor 2, including that of C++ code.

    A separate process filters it, so that the last output of a process that crashes during the import is not lost.
    """
    try:
        stderr = os.dup(2)
        command = ["grep", "--line-buffered", "-a", "-v", "-E", _NOISE]
        environment = {**os.environ, "LC_ALL": "C"}
        grep = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=stderr, stderr=stderr, env=environment)
    except OSError:  # no standard error, or no grep
        yield
        return
    assert grep.stdin is not None
    os.dup2(grep.stdin.fileno(), 2)
    grep.stdin.close()
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        grep.wait()
