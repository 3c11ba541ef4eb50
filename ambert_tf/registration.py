"""Registers the classes of the AMBERT family with Keras as soon as a program uses KerasHub.

`keras_hub.models.TextClassifier.from_preset` finds a class only if it has been imported. Importing ours takes as long
as importing TensorFlow, so `import ambert_tf` leaves it until `keras_hub` is imported.
"""

import importlib
import sys
from collections.abc import Callable

from ambert_tf.import_hooks import around_import

FAMILY = "ambert_tf.models.family"
_CLASSES = "ambert_tf.models.ambert_"


def register_with_keras_hub() -> None:
    """Imports the family now if KerasHub is imported already, otherwise right after its import."""
    if "keras_hub" in sys.modules:
        importlib.import_module(FAMILY)
    else:
        around_import("keras_hub", _import_and_register)


def _import_and_register(execute: Callable[[], None]) -> None:
    execute()
    # One of our own modules may be importing KerasHub, whichever is imported first.
    if not any(name.startswith(_CLASSES) for name in sys.modules):
        importlib.import_module(FAMILY)
