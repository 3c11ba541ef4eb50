"""Registers the classes of the AMBERT family with Keras as soon as a program uses KerasHub.

`keras_hub.models.TextClassifier.from_preset` finds a class only if it has been imported. Importing ours takes as long
as importing TensorFlow, so `import ambert_tf` defers it until `keras_hub` is imported.
"""

import importlib
import sys
from collections.abc import Callable

from ambert_tf.import_hooks import around_import

FAMILY = "ambert_tf.models.family"
_CLASSES = "ambert_tf.models.ambert_"


def register_with_keras_hub() -> None:
    """Imports the family now if KerasHub has already been imported, and right after its import otherwise."""
    if "keras_hub" in sys.modules:
        importlib.import_module(FAMILY)
    else:
        around_import("keras_hub", _import_and_register)


def _import_and_register(execute: Callable[[], None]) -> None:
    execute()
    # KerasHub may be imported by one of our own modules, whichever is imported first.
    if not any(name.startswith(_CLASSES) for name in sys.modules):
        importlib.import_module(FAMILY)
