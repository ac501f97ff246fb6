"""What the agencies send while processes die: restated lists, no two of the same bytes."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

MONTH = "2025-06"
#: DAG → the list that is sent again in each run.
LISTS = {
    "education": "thongtinhocsinh_202506.csv",
    "social_protection": "DS_CHI_TRA_BTXH_202506.csv",
}
#: So many different contents: the number of the variant is the row that the list leaves out.
VARIANTS = 2


def read_lists(inbox: Path) -> dict[str, list[bytes]]:
    """Source → the lines of its list as it was first sent."""
    return {
        source: (inbox / source / MONTH / name).read_bytes().splitlines(keepends=True)
        for source, name in LISTS.items()
    }


def restate(
    lists: dict[str, list[bytes]], variant: int, chance: random.Random, inboxes: Sequence[Path]
) -> None:
    """Put each list without one of its rows, in an order of its own, into every inbox."""
    for source, (header, *lines) in lists.items():
        rows = lines[:variant] + lines[variant + 1 :]
        chance.shuffle(rows)
        for inbox in inboxes:
            path = inbox / source / MONTH / LISTS[source]
            path.write_bytes(b"".join((header, *rows)))
            note = path.with_name(f"{path.name}.delivery.json")
            said = json.loads(note.read_text(encoding="utf-8"))
            said["control_totals"]["rows"] = len(rows)
            said["restatement"] = {"reason": f"row {variant + 1} was struck from the list"}
            note.write_text(json.dumps(said, ensure_ascii=False), encoding="utf-8")
