"""The bundle of YAML files under docker/bi/assets: written from this package, imported as it is.

`nq42 contracts derive` writes the files, `nq42 contracts check` finds those that are out of date.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from loaders.bi.dashboards import document
from loaders.bi.datasets import PERIODS, RELEASE, SCORECARD, SERIES, UNITS, VALUES
from loaders.bi.explorer import explorer
from loaders.bi.model import DATABASE, VERSION, identity
from loaders.bi.quality import quality
from loaders.bi.scorecard import scorecard
from loaders.bi.work import QUALITY, TASKS
from loaders.postgres.database import Role
from loaders.settings import PROJECT_ROOT

DATASETS = (RELEASE, SCORECARD, VALUES, SERIES, PERIODS, UNITS, TASKS, QUALITY)
DASHBOARDS = (scorecard(), explorer(), quality())
FOLDER = Path("docker") / "bi" / "assets"
#: Superset wants a time of the bundle; a fixed one keeps the files as they are.
TIMESTAMP = "2026-01-01T00:00:00+00:00"
#: Where the warehouse stands and the password are asked for at each connection.
CONNECTION = f"postgresql+psycopg2://{Role.BI}@127.0.0.1/{DATABASE}"


def bundle_files(root: Path = PROJECT_ROOT) -> dict[Path, str]:
    """Path → content of every file of the bundle."""
    documents: dict[str, dict[str, Any]] = {
        "metadata.yaml": {"version": VERSION, "type": "assets", "timestamp": TIMESTAMP},
        f"databases/{DATABASE}.yaml": _database(),
    }
    for dataset in DATASETS:
        documents[f"datasets/{DATABASE}/{dataset.name}.yaml"] = dataset.to_dict()
    for dashboard in DASHBOARDS:
        documents[f"dashboards/{dashboard.name}.yaml"] = document(dashboard)
        for chart in dashboard.charts:
            documents[f"charts/{chart.name}.yaml"] = chart.to_dict()
    return {root / FOLDER / name: _text(content) for name, content in documents.items()}


def stale_files(root: Path = PROJECT_ROOT) -> list[str]:
    """Findings about files that do not follow from this package, and files of nothing in it.

    An installation without `docker/` has no bundle to check.
    """
    if not (root / FOLDER.parts[0]).exists():
        return []
    wanted = bundle_files(root)
    findings = [
        f"{path.relative_to(root)}: (file): not up to date; run `nq42 contracts derive`"
        for path, content in wanted.items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    ]
    left = sorted(set((root / FOLDER).rglob("*.yaml")) - set(wanted))
    return findings + [f"{path.relative_to(root)}: (file): nothing makes it" for path in left]


def _database() -> dict[str, Any]:
    return {
        "database_name": DATABASE,
        "sqlalchemy_uri": CONNECTION,
        "cache_timeout": None,
        "expose_in_sqllab": True,
        "allow_run_async": False,
        "allow_ctas": False,
        "allow_cvas": False,
        "allow_dml": False,
        "allow_csv_upload": False,
        "extra": {"allows_virtual_table_explore": True, "metadata_params": {}},
        "uuid": identity("database", DATABASE),
        "version": VERSION,
    }


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, and no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent)


def _text(content: dict[str, Any]) -> str:
    return yaml.dump(content, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=100)
