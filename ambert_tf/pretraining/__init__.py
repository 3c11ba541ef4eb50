"""What run_pretraining.py does."""
