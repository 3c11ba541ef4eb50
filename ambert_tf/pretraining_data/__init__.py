"""Turns documents into masked pre-training examples in TFRecord files, and reads them."""
