"""TensorFlow's start-up messages, and nothing else, are hidden on machines without a GPU; programs start faster."""

import os
import subprocess
import sys

import pytest

LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def errors_of(body, **environment):
    """Returns a script's output to stderr."""
    inherited = {name: value for name, value in os.environ.items() if name != LEVEL}
    run = subprocess.run(
        [sys.executable, "-c", body], env={**inherited, **environment}, capture_output=True, text=True, check=False
    )
    return run.stderr


@pytest.mark.parametrize("end", ["", "os.abort()"])
def test_only_the_noise_is_removed_even_from_a_crash(end):
    body = f"""
import os
from ambert_tf.startup import _filtered_stderr
with _filtered_stderr():
    os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\\n")
    os.write(2, b"I0000 00:00:1 18546 cudart_stub.cc:31] Could not find cuda drivers on your machine\\n")
    os.write(2, b"F0000 00:00:2 18546 other.cc:1] This machine has no AVX\\n")
    {end}
os.write(2, b"after\\n")
"""
    lines = ["F0000 00:00:2 18546 other.cc:1] This machine has no AVX", *([] if end else ["after"])]
    assert errors_of(body).splitlines() == lines


@pytest.mark.parametrize(
    ("files", "given", "level", "filtered"),
    [
        ((), None, "3", True),
        ((), "0", "0", False),
        ((), "2", "2", True),
        (("/dev/null",), None, None, False),  # stands for a GPU's device
        (("/dev/null",), "3", "3", True),
    ],
)
def test_a_gpu_or_the_users_own_level_keeps_the_messages(files, given, level, filtered):
    body = f"""
import os, sys
import ambert_tf.startup as startup
def hooks():
    return [finder for finder in sys.meta_path if getattr(finder, "package", None) == "tensorflow"]
sys.meta_path[:] = [finder for finder in sys.meta_path if finder not in hooks()]
os.environ.pop("{LEVEL}", None)
if {given!r}: os.environ["{LEVEL}"] = {given!r}
startup._GPU_FILES = {files!r}
startup.quiet_tensorflow()
print(os.environ.get("{LEVEL}"), bool(hooks()), file=sys.stderr)
"""
    assert errors_of(body).split() == [str(level), str(filtered)]


def test_keras_leaves_out_packages_that_programs_do_not_need():
    body = """
import sys
from ambert_tf.startup import import_keras_alone
import_keras_alone()
import keras
loaded = [name for name in ("matplotlib", "pandas", "sklearn") if name in sys.modules]
import matplotlib, sklearn
print(keras.ops.convert_to_numpy(keras.ops.arange(3)).tolist(), loaded, sklearn.__name__, file=sys.stderr)
"""
    assert errors_of(body) == "[0, 1, 2] [] sklearn\n"
