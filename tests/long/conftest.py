"""The province of three months is shared with the end-to-end tests."""

from tests.end_to_end.conftest import province

__all__ = ["province"]
