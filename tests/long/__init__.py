"""Proofs that take minutes: run by `make test-long` and by CI."""
