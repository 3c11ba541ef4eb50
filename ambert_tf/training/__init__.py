"""Distribution, precision, optimizer, training loop, checkpoints and progress."""
