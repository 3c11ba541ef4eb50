"""Registers the classes of the AMBERT family with Keras as soon as a program uses KerasHub.

`keras_hub.models.TextClassifier.from_preset` finds a class only if it has been imported. Importing ours takes as long
as importing TensorFlow, so `import ambert_tf` leaves it until `keras_hub` is imported.
"""

import importlib
import importlib.abc
import importlib.util
import sys
from typing import Any

FAMILY = "ambert_tf.models.family"
_CLASSES = "ambert_tf.models.ambert_"


def register_with_keras_hub() -> None:
    """Imports the family now if KerasHub is imported already, otherwise right after its import."""
    if "keras_hub" in sys.modules:
        importlib.import_module(FAMILY)
    elif not any(isinstance(finder, _KerasHubFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _KerasHubFinder())


class _KerasHubFinder(importlib.abc.MetaPathFinder):
    """Finds KerasHub once, as Python does, and imports the family after it."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        del path, target
        if fullname != "keras_hub":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module

            def execute_and_register(module: Any) -> None:
                del loader.exec_module
                execute(module)
                # One of our own modules may be importing KerasHub, whichever is imported first.
                if not any(name.startswith(_CLASSES) for name in sys.modules):
                    importlib.import_module(FAMILY)

            loader.exec_module = execute_and_register
        return spec
