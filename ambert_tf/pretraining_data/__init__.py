"""Writes documents as masked pre-training examples in TFRecord files, and reads them."""
