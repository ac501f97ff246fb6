"""Write down the SQL that Superset sends for each chart and filter of the dashboards.

    python -m tests.bench.record_dashboard_queries

Superset runs on what the settings' warehouse has published (`make bi`), as a reader sees it first:
the dashboards with their default filters, in a browser.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from loaders.bi.service import up
from loaders.settings import get_settings
from tests.bi_pages import look_at_all

FILE = Path(__file__).with_name("dashboard_queries.json")


def main() -> None:
    with tempfile.TemporaryDirectory() as pictures:
        seen = look_at_all(up(get_settings()), Path(pictures))
    found = {
        f"{sent.dashboard}: {sent.part}": sent.sql.splitlines()
        for dashboard in seen.values()
        for sent in dashboard.sent
    }
    text = json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True)
    FILE.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
