"""SavedModels that take raw text, and `ambert_tf.load`."""
