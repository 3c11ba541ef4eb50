"""AMBERT: BERT pre-training and fine-tuning on fine and coarse tokens at once, in TensorFlow and Keras."""

from typing import TYPE_CHECKING, Any

from ambert_tf.startup import quiet_tensorflow

if TYPE_CHECKING:
    from ambert_tf.serving.text_model import TextModel

quiet_tensorflow()

__version__ = "0.1.0"


def load(path: str, **options: Any) -> "TextModel":
    """Loads a model directory or a SavedModel, to tokenize, encode and predict in Python; see `serving.text_model`.

    Args:
      path: the directory.
      **options: `inference`, `joint`, `fine` or `coarse`, of a model directory.

    Raises:
      errors.InputError: it is no such directory.
    """
    from ambert_tf.serving import text_model  # TensorFlow takes seconds to import

    return text_model.load(path, **options)
