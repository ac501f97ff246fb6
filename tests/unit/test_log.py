"""Log lines: JSON on stderr, the search fields in front."""

from __future__ import annotations

import json

import pytest
import structlog

from loaders.log import configure_logging, get_logger, log_context


@pytest.fixture(autouse=True)
def _restore() -> object:
    yield
    structlog.reset_defaults()


def test_json_lines_carry_the_context_first(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json")
    with log_context(source="health", period="2025-06", stage="load", batch_id=None):
        get_logger().info("tệp đã nạp", rows=3)
    get_logger().info("outside")
    captured = capsys.readouterr()
    first, second = captured.err.splitlines()
    assert captured.out == ""
    assert list(json.loads(first))[:3] == ["source", "period", "stage"]
    assert json.loads(first)["event"] == "tệp đã nạp"
    assert "batch_id" not in json.loads(first)
    assert "source" not in json.loads(second)


def test_console_lines_are_readable(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("console")
    get_logger().warning("late", source="health")
    assert "source=health" in capsys.readouterr().err
