"""AMBERT: BERT pre-training and fine-tuning on fine and coarse tokens at once, in TensorFlow and Keras."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ambert_tf.serving.text_model import TextModel

# TensorFlow tells about missing GPU libraries and the like at each start, a dozen lines before ours; errors still show.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

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
