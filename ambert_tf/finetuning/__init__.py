"""What run_classifier.py and run_squad.py do: the fine-tuning engine, task forms, results."""
