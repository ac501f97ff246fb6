"""Chaos: one process after another is killed at a random moment, and nothing may come of it."""
