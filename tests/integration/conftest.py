"""What the integration tests share: candidates made by hand, deliveries, months of members."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.candidates import make_candidate
from tests.conftest import Warehouse
from tests.integration.landing import Landing
from tests.integration.members import prepare


@pytest.fixture(name="make_candidate")
def _make_candidate(warehouse: object) -> Callable[..., str]:
    return make_candidate


@pytest.fixture
def landing(warehouse: object, monkeypatch: pytest.MonkeyPatch) -> Landing:
    return Landing(monkeypatch)


@pytest.fixture(scope="module")
def ready(warehouse: Warehouse) -> Warehouse:
    """The warehouse of the members' months."""
    prepare()
    return warehouse


@pytest.fixture
def clean(ready: Warehouse) -> Iterator[Warehouse]:
    """Each test takes months of its own: the ledgers are append-only."""
    yield ready
    for path in ready.inbox.rglob("*.csv*"):
        path.unlink()
