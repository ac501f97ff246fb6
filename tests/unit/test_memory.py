"""The measure of memory itself: a large parent must not hide what its child takes."""

from __future__ import annotations

from pathlib import Path

from tests.unit.memory import peak_mb

HELD = "type('Held', (), {'batches': [bytearray(b'x' * path.stat().st_size)]})"


def test_the_peak_is_that_of_the_child_alone(tmp_path: Path) -> None:
    few, many = tmp_path / "few", tmp_path / "many"
    few.write_bytes(b"x")
    with many.open("wb") as file:
        file.truncate(100_000_000)
    ballast = bytearray(b"x" * 600_000_000)
    small, large = (peak_mb(path, "loaders.readers.base", HELD) for path in (few, many))
    assert len(ballast) and small < 400
    assert large - small > 90
