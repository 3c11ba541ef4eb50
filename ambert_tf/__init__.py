"""AMBERT: BERT pre-training and fine-tuning on fine and coarse tokens at once, in TensorFlow and Keras."""

__version__ = "0.1.0"
