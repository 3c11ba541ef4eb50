"""From documents to masked pre-training examples in TFRecord files, and back."""
