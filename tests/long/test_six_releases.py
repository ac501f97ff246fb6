"""Six releases, each for another reason: every one comes back, every change has its right cause."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from loaders import audit
from loaders.postgres.database import Role, connect
from loaders.publication import (
    Difference,
    changed_inputs,
    difference_csv,
    find_release,
    give_back,
    release_at,
)
from loaders.quality import suites
from loaders.quality.suites import EXPECTATIONS_DIR, get_suite
from loaders.sample import generate
from loaders.stages import build
from loaders.stages.build import DBT_PROJECT
from loaders.stages.intake import import_source
from loaders.stages.setup import prepare_warehouse
from tests.conftest import Warehouse
from tests.end_to_end.conftest import SCALE, SEED, release
from tests.marts import marts_as_csv

JUNE, JULY = MONTHS = ("2025-06", "2025-07")
SOURCES = ("statistics_office", "health")
RULE = "records.managed_within_records"
#: What stands on what, written down by hand.
MANAGED = {"population_health_managed"}
RECORDS = MANAGED | {"electronic_health_record_coverage"}
DOSES = {"epi_full_immunisation_u1"}
STAFF = {"doctors_per_10k", "nurses_per_10k", "pharmacists_per_10k"}
BEDS = {"hospital_beds_per_10k"}
ON_POPULATION = RECORDS | STAFF | BEDS
#: What is revised with a figure without being its cause.
BESIDE = {"disclosure_protection"}


@dataclass
class History:
    """Release ids in order, and the marts of each, saved while it was the current one."""

    releases: list[str] = field(default_factory=list)
    marts: list[dict[str, bytes]] = field(default_factory=list)

    def publish(self, month: str) -> None:
        result = release(month, is_disturbed=True)
        assert result.status == "published"
        self.releases.append(result.release_id)
        self.marts.append(marts_as_csv())


@pytest.fixture(scope="module")
def history(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    folder = tmp_path_factory.mktemp("project")
    expectations = Path(shutil.copytree(EXPECTATIONS_DIR, folder / "expectations"))
    skip = shutil.ignore_patterns("target", "logs")
    project = Path(shutil.copytree(DBT_PROJECT, folder / "dbt_project", ignore=skip))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suites, "EXPECTATIONS_DIR", expectations)
        patch.setattr(build, "DBT_PROJECT", project)
        get_suite.cache_clear()
        yield _six_releases(warehouse.inbox, expectations, project)
    get_suite.cache_clear()


def _six_releases(inbox: Path, expectations: Path, project: Path) -> History:
    generate(list(MONTHS), SCALE, SEED, inbox, None)
    prepare_warehouse()
    history = History()

    _import(JUNE)
    history.publish(JUNE)  # 1: the first

    _import(JULY)
    history.publish(JULY)  # 2: a new month

    _restate(inbox / "health" / JULY, "MuiTiem_*.csv", lambda rows: rows[::3], "doses were doubled")
    _correct(inbox / "health" / JUNE)
    _import(JUNE, JULY)
    history.publish(JULY)  # 3: a file sent again, another one corrected

    _restate(inbox / "statistics_office" / JULY, "DanSoXa_*.csv", _one_more, "a new estimate")
    _import(JULY)
    history.publish(JULY)  # 4: another population

    _only_warn(expectations / "intake" / "health__health_records.json")
    _import(JUNE, JULY)
    history.publish(JULY)  # 5: a rule that does not refuse any more

    _replace(project / "models/kpi/kpi__hospital_beds_per_10k.sql", "sum(", "2 * sum(")
    targets = project / "seeds/programme_target.csv"
    _replace(targets, "doctors_per_10k,43-CTr/TU,1,qn_programme,2030,>=,11", "doctors_per_10k,"
             "43-CTr/TU,1,qn_programme,2030,>=,900")  # fmt: skip
    history.publish(JULY)  # 6: another way to count beds, another target for doctors
    return history


# --- what happens between the releases ----------------------------------------------------------


def _import(*months: str) -> None:
    for month in months:
        for source in SOURCES:
            found = {result.status for result in import_source(source, month)}
            assert found <= {"accepted", "unchanged"}, (source, month, found)


def _restate(
    folder: Path, pattern: str, change: Callable[[list[list[str]]], list[list[str]]], reason: str
) -> None:
    """The file again with other rows, and its side-car with the reason."""
    (path,) = folder.glob(pattern)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        header, *rows = list(csv.reader(stream))
    rows = change(rows)
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([header, *rows])
    note = path.with_name(f"{path.name}.delivery.json")
    content = json.loads(note.read_text("utf-8"))
    content["restatement"] = {"reason": reason}
    content["control_totals"] = {"rows": len(rows)}
    note.write_text(json.dumps(content), "utf-8")


def _one_more(rows: list[list[str]]) -> list[list[str]]:
    """Every tenth group of the population gains a person."""
    return [
        [*row[:-1], str(int(row[-1]) + 1)] if n % 10 == 0 else row for n, row in enumerate(rows)
    ]


def _correct(folder: Path) -> None:
    """A corrections file beside the health records: one commune manages fewer people."""
    (path,) = folder.glob("HoSoSucKhoe_*.csv")
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    number, row = next(
        (number, row)
        for number, row in enumerate(rows, start=1)
        if row["songuoi_quanly"].isdigit() and int(row["songuoi_quanly"]) > 2
        and int(row["songuoi_quanly"]) == int(row["songuoi_cohoso"])
    )  # fmt: skip
    found = row["songuoi_quanly"]
    lines = [
        "row_number,sheet,column,expect,value,reason,by",
        f"{number},,songuoi_quanly,{found},{int(found) - 2},typing error,Sở Y tế",
    ]
    path.with_name(f"{path.name}.corrections.csv").write_text("\n".join(lines) + "\n", "utf-8")


def _only_warn(path: Path) -> None:
    document = json.loads(path.read_text("utf-8"))
    (rule,) = (one for one in document["expectations"] if one["meta"]["id"] == RULE)
    rule["severity"], rule["meta"]["version"] = "warning", rule["meta"]["version"] + 1
    path.write_text(json.dumps(document), "utf-8")
    get_suite.cache_clear()


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert text.count(old) == 1, (path, old)
    path.write_text(text.replace(old, new), "utf-8")


# --- what an auditor asks -----------------------------------------------------------------------


def test_every_release_comes_back_byte_for_byte(history: History, tmp_path: Path) -> None:
    assert len(history.releases) == 6
    assert len({tuple(sorted(marts.items())) for marts in history.marts}) == 6
    for release_id, saved in zip(history.releases, history.marts, strict=True):
        with connect(Role.AUDITOR) as connection:
            found = find_release(connection, release_id)
            assert release_at(connection, found.published_at).release_id == release_id
            for mart in give_back(connection, found, tmp_path / release_id):
                assert mart.is_exact, (release_id, mart)
        files = {path.stem: path.read_bytes() for path in (tmp_path / release_id).iterdir()}
        assert files == saved, release_id


def test_the_difference_is_what_the_files_differ_in(history: History) -> None:
    """By the saved files alone: the same cells, whatever SQL says."""
    pairs = [*zip(range(5), range(1, 6), strict=True), (0, 5), (5, 0), (1, 4)]
    for a, b in pairs:
        lines = [line for line in _difference(history, a, b) if line["what"] == "figure"]
        assert {_key(line) for line in lines} == _cells_that_differ(history, a, b), (a, b)
        assert len(lines) == len({_key(line) for line in lines})
        values = [_figures(history.marts[number]) for number in (a, b)]
        for line in lines:
            for side, figures in zip("ab", values, strict=True):
                cell = figures.get(_key(line), {})
                assert line[f"value_{side}"] == cell.get("value", ""), line


def test_every_changed_figure_has_its_right_cause(history: History) -> None:
    """KPIs that do not stand on what changed have not changed."""
    expected: list[dict[frozenset[str], set[str]]] = [
        # What was corrected is the number of people managed, not of those with a record.
        {frozenset({"restated_file"}): DOSES, frozenset({"corrected_file"}): MANAGED},
        {frozenset({"denominator_vintage", "restated_file"}): ON_POPULATION},
        {frozenset({"rule_change"}): RECORDS},
        {frozenset({"definition"}): BEDS},
    ]
    for number, by_causes in enumerate(expected, start=1):
        found = defaultdict(set)
        for line in _difference(history, number, number + 1):
            if line["what"] == "figure":
                found[frozenset(line["causes"].split(",")) - BESIDE].add(line["kpi_id"])
        assert found == by_causes, number
    months = {JUNE: "corrected_file", JULY: "restated_file"}
    for line in _difference(history, 1, 2):
        if line["what"] == "figure":
            assert months[line["period"]] in line["causes"]


def test_a_new_month_is_new_data(history: History) -> None:
    lines = _difference(history, 0, 1)
    figures = [line for line in lines if line["what"] == "figure"]
    assert {line["causes"] for line in figures} == {"new_data"}
    assert {line["period"] for line in figures if line["numerator_b"]} == {JULY}
    verdicts = {line["causes"] for line in lines if line["what"] == "verdict"}
    assert verdicts <= {"new_data", "new_period,new_data"} and "new_data" in verdicts


def test_from_the_first_to_the_last_all_causes_come_together(history: History) -> None:
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for line in _difference(history, 0, 5):
        if line["what"] == "figure" and line["numerator_b"]:
            found[line["kpi_id"], line["period"]] |= set(line["causes"].split(",")) - BESIDE
    for kpi_id in RECORDS:
        assert found.pop((kpi_id, JUNE)) == {"corrected_file", "rule_change"}
    assert found.pop(("hospital_beds_per_10k", JUNE)) == {"definition"}
    assert found.pop(("hospital_beds_per_10k", JULY)) == {"new_data", "definition"}
    assert {month for _, month in found} == {JULY}
    assert set(map(frozenset, found.values())) == {frozenset({"new_data"})}


def test_verdicts_change_for_their_values_or_their_target(history: History) -> None:
    found = defaultdict(set)
    for line in _difference(history, 4, 5):
        if line["what"] == "verdict":
            found[line["kpi_id"]].add(line["causes"])
    assert found["doctors_per_10k"] == {"target"}
    assert set(found) <= BEDS | {"doctors_per_10k"}
    assert found["hospital_beds_per_10k"] <= {"definition"}


def test_the_evidence_names_file_reason_rule_and_model(history: History) -> None:
    def evidence(a: int, b: int) -> str:
        with connect(Role.AUDITOR) as connection:
            return "\n".join(changed_inputs(connection, _pair(history, a, b)))

    assert "reason: doses were doubled" in evidence(1, 2)
    assert "health.health_records 2025-06 batch" in evidence(1, 2)
    assert "corrections sha256 none → " in evidence(1, 2)
    assert "reason: a new estimate" in evidence(2, 3)
    rule = f"rule {RULE}: version 1, critical, expects what its query says → version 2, warning"
    assert rule in evidence(3, 4)
    code = evidence(4, 5)
    assert "model kpi__hospital_beds_per_10k: sha256" in code
    assert "seed programme_target, doctors_per_10k: sha256" in code
    assert len(code.splitlines()) == 2


def test_nothing_is_unexplained_and_the_trail_is_whole(history: History) -> None:
    with connect(Role.AUDITOR) as connection:
        for table in ("kpi_value", "kpi_verdict"):
            found = connection.execute(
                f"select * from publication.{table}"
                " where 'unexplained' = any(causes) or cardinality(causes) = 0 limit 5"
            ).fetchall()
            assert found == [], table
        assert audit.verify(connection) == []


def _pair(history: History, a: int, b: int) -> Difference:
    with connect(Role.AUDITOR) as connection:
        return Difference(
            find_release(connection, history.releases[a]),
            find_release(connection, history.releases[b]),
        )


def _difference(history: History, a: int, b: int) -> list[dict[str, str]]:
    with connect(Role.AUDITOR) as connection, connection.cursor() as cursor:
        text = b"".join(difference_csv(cursor, _pair(history, a, b))).decode()
    return list(csv.DictReader(io.StringIO(text)))


KEY = ("kpi_id", "data_label", "series", "period", "boundary", "unit_code", "breakdown")
FIGURE = (
    *("value", "numerator", "denominator", "contributors", "unit_id", "unit_level"),
    *("denominator_id", "maturity", "is_suppressed"),
)


def _key(row: dict[str, str]) -> tuple[str, ...]:
    return (*(row[name] for name in KEY), row["breakdown_value"])


def _figures(marts: dict[str, bytes]) -> dict[tuple[str, ...], dict[str, str]]:
    rows = csv.DictReader(io.StringIO(marts["fct_kpi_value"].decode()))
    return {_key(row): row for row in rows}


def _cells_that_differ(history: History, a: int, b: int) -> set[tuple[str, ...]]:
    """Vintages are left to the KPIs whose denominator is of another file than the numerator."""
    old, new = _figures(history.marts[a]), _figures(history.marts[b])
    return {
        key
        for key in old.keys() | new.keys()
        if key not in old
        or key not in new
        or any(old[key][name] != new[key][name] for name in FIGURE)
        or (
            key[0] in ON_POPULATION
            and new[key]["denominator_id"] == "commune_population"
            and old[key]["denominator_vintage"] != new[key]["denominator_vintage"]
        )
    }
