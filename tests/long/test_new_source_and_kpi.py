"""What the two how-tos promise: a source and a KPI come in by data and SQL alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from loaders.postgres.database import Role, connect
from loaders.scaffold import ScaffoldError, new_kpi, new_source
from loaders.settings import PROJECT_ROOT
from tests.conftest import Warehouse

FOLDERS = ("loaders", "dags", "dbt_project", "expectations", "sql", "docs", "tests")
#: Nobody delivers this one; the scaffold's own example stands in for the user's work.
KPI = "healthy_life_expectancy"
PERIOD = "2025-06"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, as a user would have it."""
    root = tmp_path_factory.mktemp("copy")
    skip = shutil.ignore_patterns("__pycache__", "target", "logs")
    for folder in FOLDERS:
        shutil.copytree(PROJECT_ROOT / folder, root / folder, ignore=skip)
    return root


def nq42(project: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "loaders.cli", *arguments],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_source_and_a_kpi_without_python(warehouse: Warehouse, project: Path) -> None:
    nq42(project, "new", "source", "water_supply", "pipes")
    nq42(project, "new", "kpi", KPI, "water_supply", "pipes")
    nq42(project, "contracts", "derive")
    assert "in order" in nq42(project, "contracts", "check")

    inbox = warehouse.inbox / "water_supply" / PERIOD
    inbox.mkdir(parents=True)
    rows = ["ma_xa,so_ho,so_ho_dat", "21010,200,150", "21013,100,0", "99999,10,1"]
    (inbox / "pipes_202506.csv").write_text("\n".join([*rows, *FILLER]) + "\n")
    nq42(project, "setup")
    assert '"accepted"' in nq42(project, "import", "water_supply", PERIOD)
    built = nq42(project, "build", PERIOD)
    candidate = built.split('"candidate_id": "')[1].split('"')[0]
    nq42(project, "gate", candidate)
    nq42(project, "publish", candidate)
    with connect(Role.BI) as connection:
        found = connection.execute(
            "select unit_code, numerator, denominator from marts.fct_kpi_value"
            " where kpi_id = %s and unit_level = 'commune' and denominator <> 30"
            " and boundary = 'qn_programme' and denominator > 0 order by 1",
            (KPI,),
        ).fetchall()
        total = connection.execute(
            "select numerator, denominator from marts.fct_kpi_value where kpi_id = %s"
            " and unit_code = 'qn_programme' and breakdown = 'total'",
            (KPI,),
        ).fetchone()
        state = connection.execute(
            "select state from marts.dim_kpi where kpi_id = %s", (KPI,)
        ).fetchone()
    assert found == [("21010", 150, 200), ("21013", 0, 100)]
    assert total == (Decimal(150 + 15 * len(FILLER)), Decimal(300 + 30 * len(FILLER)))
    assert state == ("computed",)


#: Enough further communes that one unknown code in the file is not too many.
FILLER = [f"{code},30,15" for code in (
    21016, 21019, 21022, 21028, 21031, 21034, 21037, 21040, 21043, 21046, 21049, 21052, 21055,
    21058, 21061, 21064, 21067, 21070, 21073, 21079,
)]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: new_source(root, "Water", "pipes"), "small letters"),
        (lambda root: new_source(root, "health", "staff"), "is there already; nothing was"),
        (lambda root: new_kpi(root, "happiness", "education", "pupils"), "has no row happiness"),
        (lambda root: new_kpi(root, KPI, "education", "nothing"), "make the source first"),
    ],
)
def test_a_scaffold_that_does_not_fit_writes_nothing(
    tmp_path: Path, make: object, message: str
) -> None:
    shutil.copytree(PROJECT_ROOT / "dbt_project/seeds", tmp_path / "dbt_project/seeds")
    staging = "dbt_project/models/staging/education"
    shutil.copytree(PROJECT_ROOT / staging, tmp_path / staging)
    (tmp_path / "loaders/contracts").mkdir(parents=True)
    (tmp_path / "loaders/contracts/health.yaml").touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ScaffoldError, match=message):
        make(tmp_path)  # type: ignore[operator]
    assert sorted(tmp_path.rglob("*")) == before
