"""What the integration tests share: candidates made by hand, deliveries that have landed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.candidates import make_candidate
from tests.integration.landing import Landing


@pytest.fixture(name="make_candidate")
def _make_candidate(warehouse: object) -> Callable[..., str]:
    return make_candidate


@pytest.fixture
def landing(warehouse: object, monkeypatch: pytest.MonkeyPatch) -> Landing:
    return Landing(monkeypatch)
