"""Hides TensorFlow's messages about missing GPUs and CPU instructions on machines without a GPU.

On machines with a GPU they are kept, because they may explain why it is not used. TF_CPP_MIN_LOG_LEVEL overrides this.
"""

import contextlib
import glob
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

from ambert_tf.import_hooks import around_import

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_NO_LOG = "3"  # the only level that hides the error "failed call to cuInit"
_GPU_FILES = ("/dev/nvidia[0-9]*", "/proc/driver/nvidia/version", "/dev/dxg", "/dev/kfd")

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
