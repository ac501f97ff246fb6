"""Every alert has its section in the runbook, and every reference leads to one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loaders.operations.alerts import Alert
from loaders.settings import PROJECT_ROOT

PARTS = ("Means", "How bad", "Do", "Over")
REFERENCE = re.compile(r"runbook\.md#([a-z_]+)")


def sections() -> dict[str, str]:
    text = (PROJECT_ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def is_whole(text: str) -> bool:
    """The four parts, in order, each with something to read."""
    found = re.split(r"^\*\*(.+?)\*\* ", text, flags=re.MULTILINE)
    return tuple(found[1::2]) == PARTS and all(len(each.strip()) > 15 for each in found[2::2])


@pytest.mark.parametrize("alert", Alert)
def test_every_alert_has_a_whole_section(alert: Alert) -> None:
    assert is_whole(sections()[alert.key])
    assert alert.runbook == f"docs/runbook.md#{alert.key}"


def test_a_section_without_a_part_is_seen() -> None:
    whole = sections()["held"]
    assert not is_whole(whole.replace("**Over**", "Over"))
    assert not is_whole(re.sub(r"(?s)\*\*Do\*\* .*?\n\*\*Over", "**Do** x\n**Over", whole))


def test_every_reference_in_code_leads_to_a_section() -> None:
    referred = {
        name
        for folder in ("loaders", "dags")
        for path in Path(PROJECT_ROOT / folder).rglob("*.py")
        for name in REFERENCE.findall(path.read_text(encoding="utf-8"))
    }
    assert {"database_away", "disk_full", "doctor_error", "missing"} <= referred
    assert referred <= sections().keys()


def test_words_are_given_in_full() -> None:
    for alert in Alert:
        words = alert.value
        for text in (words.title_vi, words.title_en, words.impact_vi, words.action_vi):
            assert text.strip(), alert
