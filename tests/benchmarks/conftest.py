"""The benchmarks and the demo are scripts, which import one another by their plain names."""

import functools
import importlib
import os
import sys

import pytest
from absl import flags

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDERS = [os.path.join(ROOT, name) for name in ("benchmarks", "demo")]
sys.path += FOLDERS


@pytest.fixture
def script(monkeypatch):
    """Returns a function from the name of a script to its module, with new flags that have their default values."""
    known = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    values = flags.FlagValues()
    monkeypatch.setattr(flags, "FLAGS", values)
    for name in dir(flags):
        if name.startswith("DEFINE_"):
            monkeypatch.setattr(flags, name, functools.partial(getattr(flags, name), flag_values=values))

    def load(name):
        module = importlib.import_module(name)
        values.mark_as_parsed()
        return module

    yield load
    for name in set(sys.modules) - known:
        file = getattr(sys.modules[name], "__file__", None)
        if file and os.path.dirname(file) in FOLDERS:
            del sys.modules[name]
