"""The books that the damaged deliveries are held against notice what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loaders.readers import READERS, ReaderError, Table, TextBatch
from tests.mutations.drive import drive
from tests.mutations.seeds import Seed, seeds

MEMBERS = next(seed for seed in seeds()["csv"] if seed.name == "members")
Batches = Callable[[Iterator[TextBatch]], Iterator[TextBatch]]


def driven(monkeypatch: pytest.MonkeyPatch, folder: Path, change: Batches) -> str:
    """The card list, undamaged, through a reader that does ``change`` to its batches."""
    read = READERS["csv"]

    def other(*args: Any, **options: Any) -> Table:
        table = read(*args, **options)
        table.batches = change(table.batches)
        return table

    monkeypatch.setitem(READERS, "csv", other)
    return drive(MEMBERS, MEMBERS.content, folder)


def test_a_good_reader_passes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert driven(monkeypatch, tmp_path, lambda batches: batches) == "loaded whole"


def test_a_lost_row_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def lose(batches: Iterator[TextBatch]) -> Iterator[TextBatch]:
        yield from (TextBatch(batch.frame.slice(0, 5), batch.broken) for batch in batches)

    with pytest.raises(AssertionError):
        driven(monkeypatch, tmp_path, lose)


def test_a_row_that_comes_twice_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def double(batches: Iterator[TextBatch]) -> Iterator[TextBatch]:
        for batch in batches:
            yield batch
            yield batch

    with pytest.raises(AssertionError, match="lost or counted twice"):
        driven(monkeypatch, tmp_path, double)


@pytest.mark.parametrize(
    ("reason", "noticed"),
    [
        (f"row 1: {MEMBERS.personal[0]} is no number; ask for the file again", "personal text"),
        ("bad file", "does not say what to do"),
        ("a\0b; ask for the file again", "characters"),
    ],
)
def test_a_bad_refusal_is_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reason: str, noticed: str
) -> None:
    def refuse(batches: Iterator[TextBatch]) -> Iterator[TextBatch]:
        raise ReaderError(reason)
        yield from batches

    with pytest.raises(AssertionError, match=noticed):
        driven(monkeypatch, tmp_path, refuse)


def test_any_other_exception_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(batches: Iterator[TextBatch]) -> Iterator[TextBatch]:
        yield from batches
        raise IndexError

    with pytest.raises(IndexError):
        driven(monkeypatch, tmp_path, fail)


def test_every_seed_loads_undamaged(tmp_path: Path) -> None:
    ends: dict[str, Seed] = {}
    for kind in seeds().values():
        ends |= {drive(seed, seed.content, tmp_path): seed for seed in kind}
    assert not [end for end in ends if end.startswith("refused")], ends
