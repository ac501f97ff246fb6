"""The province of three months is shared with the end-to-end tests."""

from tests.end_to_end.conftest import package_warehouse, province

__all__ = ["package_warehouse", "province"]
