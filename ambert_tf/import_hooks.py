"""Import hooks, which run code around the first import of a package without importing it."""

import importlib.abc
import importlib.util
import sys
from collections.abc import Callable
from typing import Any


def around_import(package: str, run: Callable[[Callable[[], None]], None]) -> None:
    """Calls `run(execute)` when `package` is first imported.

    Args:
      package: a top-level package that has not been imported yet. A second call for the same package has no effect.
      run: called instead of executing the package's module. It must call `execute` once.
    """
    if not any(isinstance(finder, _Finder) and finder.package == package for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder(package, run))


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one package, like Python, and wraps the first execution of its module.

    `importlib.util.find_spec`, with which other packages ask whether it is installed, has no effect.
    """

    def __init__(self, package: str, run: Callable[[Callable[[], None]], None]):
        self.package = package
        self._run = run

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        del path, target
        if fullname != self.package:
            return None
        place = sys.meta_path.index(self)
        del sys.meta_path[place]  # so that the others find it
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            sys.meta_path.insert(place, self)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module

            def wrapped(module: Any) -> None:
                del loader.exec_module
                if self in sys.meta_path:
                    sys.meta_path.remove(self)
                self._run(lambda: execute(module))

            loader.exec_module = wrapped
        return spec
