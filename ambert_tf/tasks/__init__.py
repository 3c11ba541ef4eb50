"""Declarations of the fine-tuning tasks, their file readers, metrics and leaderboard formats."""
