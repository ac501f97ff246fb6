"""Benchmarks print ratios against a baseline of the same run; they assert nothing about time."""
