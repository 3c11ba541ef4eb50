"""Declarations of the data sets, their readers, metrics and leaderboard formats."""
