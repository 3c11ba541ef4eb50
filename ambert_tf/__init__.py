"""AMBERT: BERT pre-training and fine-tuning on fine and coarse tokens at once, in TensorFlow and Keras."""

import os

# TensorFlow tells about missing GPU libraries and the like at each start, a dozen lines before ours; errors still show.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

__version__ = "0.1.0"
