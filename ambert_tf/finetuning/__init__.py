"""Fine-tuning, evaluation and prediction: the engine, the task forms, and the result files."""
