"""Invented deliveries, one per trouble, each with the exact end it has to come to."""

import pytest

pytest.register_assert_rewrite("tests.deliveries.run")
