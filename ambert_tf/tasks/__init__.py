"""Pre-training and the fine-tuning tasks: readers, features, metrics and result files."""
