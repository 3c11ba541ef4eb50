"""AMBERT, a pre-trained language model with multi-grained tokenization, in TensorFlow and Keras."""

from typing import TYPE_CHECKING, Any

from ambert_tf.registration import register_with_keras_hub
from ambert_tf.startup import quiet_tensorflow

if TYPE_CHECKING:
    from ambert_tf.models.family import *  # noqa: F403
    from ambert_tf.serving.text_model import TextModel

quiet_tensorflow()
register_with_keras_hub()

__version__ = "0.1.0"


def load(path: str, **options: Any) -> "TextModel":
    """Loads a model to tokenize, encode, fill masks and predict in Python; see `serving.text_model`.

    Args:
      path: a model directory, a SavedModel, a KerasHub preset of a pre-trained model, or the name of one in this
        package, such as `ambert_tiny_zh`.
      **options: for a model directory, `inference`, which is `joint`, `fine` or `coarse`.

    Raises:
      errors.InputError: the path is none of these.
    """
    from ambert_tf.serving import text_model  # TensorFlow takes seconds to import

    return text_model.load(path, **options)


def __getattr__(name: str) -> Any:
    """Imports the KerasHub classes, such as `AmbertBackbone`, on first use, because TensorFlow takes seconds."""
    if name.startswith("Ambert"):
        from ambert_tf.models import family

        if name in family.__all__:
            return getattr(family, name)
    raise AttributeError(f"module 'ambert_tf' has no attribute {name!r}")
