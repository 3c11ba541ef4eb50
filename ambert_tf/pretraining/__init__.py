"""Pre-training, as run by run_pretraining.py."""
