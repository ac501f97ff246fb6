"""A month is judged again when its rules change, and what quarantine gives back is in a ledger."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loaders import audit, quality
from loaders.contracts.model import get_dataset
from loaders.postgres.database import Role, connect
from loaders.quality import EXPECTATIONS_DIR, get_suite
from loaders.settings import get_settings
from loaders.stages import load as load_stage
from loaders.stages.build import month_fingerprints
from loaders.stages.gate import gate_intake
from loaders.stages.gate import intake as intake_gate
from loaders.stages.gate.results import quarantine_digest, rule_results_digest
from loaders.stages.intake import import_dataset
from loaders.stages.land import land, purge_expired
from loaders.stages.load import load
from loaders.stages.records import GateResult
from tests.conftest import Warehouse
from tests.integration.members import DATASET, SOURCE, correct, deliver, prepare, row

SUITE = f"{SOURCE}__{DATASET}"
UNIT_RULE = "hi_members.unit_valid_on_date"
Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def ready(warehouse: Warehouse) -> Warehouse:
    prepare()
    return warehouse


@pytest.fixture
def clean(ready: Warehouse) -> Iterator[Warehouse]:
    """Each test takes months of its own: the ledgers are append-only."""
    yield ready
    for path in ready.inbox.rglob("*.csv*"):
        path.unlink()


@pytest.fixture
def change_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Edits a rule of a copy of the suites, which is in force until the end of the test."""
    folder = tmp_path / "expectations"
    shutil.copytree(EXPECTATIONS_DIR, folder)
    monkeypatch.setattr(quality, "EXPECTATIONS_DIR", folder)

    def change(edit: Change, rule_id: str = UNIT_RULE) -> None:
        path = folder / "intake" / f"{SUITE}.json"
        document = json.loads(path.read_text("utf-8"))
        edit(next(e for e in document["expectations"] if e["meta"]["id"] == rule_id))
        path.write_text(json.dumps(document), "utf-8")
        get_suite.cache_clear()

    yield change
    get_suite.cache_clear()


def only_warn(rule: dict[str, Any]) -> None:
    rule["severity"] = "warning"
    rule["meta"]["version"] = 2


def refuse_all(rule: dict[str, Any]) -> None:
    """More rows than the contract lets go to quarantine."""
    rule["kwargs"] = {"unexpected_rows_query": "SELECT _row_number FROM {batch}"}
    rule["meta"]["version"] = 3


def members(period: str, *bad: int, count: int = 60) -> list[str]:
    """Rows of a month; those with these numbers stand in a commune that does not exist."""
    month = f"{period[5:]}/{period[:4]}"
    return [row(n, month=month, unit="99999" if n in bad else "21010") for n in range(1, count + 1)]


def take(period: str) -> GateResult:
    result = import_dataset(SOURCE, DATASET, period)
    assert isinstance(result, GateResult), result
    return result


def query(text: str, *values: object) -> list[Any]:
    with connect(Role.ADMIN) as connection:
        return connection.execute(text, values).fetchall()


def raw_numbers(period: str) -> list[int]:
    found = query(f"select _row_number from raw.{SUITE} where _period = %s order by 1", period)
    return [number for (number,) in found]


def judgements(period: str) -> list[dict[str, Any]]:
    """Results of the gate, oldest first."""
    found = query(
        "select to_jsonb(r) from audit.batch_result as r where dataset = %s and period = %s"
        " and stage = 'gate' order by id",
        DATASET,
        period,
    )
    return [result for (result,) in found]


def ledger(period: str) -> list[dict[str, Any]]:
    found = query(
        "select to_jsonb(r) from audit.readmission as r where period = %s order by id", period
    )
    return [entry for (entry,) in found]


def readmitted(entry: dict[str, Any]) -> list[tuple[int, list[str]]]:
    return query(
        "select row_number, rules_broken from audit.readmitted_row"
        " where gate_run = %s and from_result_id = %s order by row_number",
        entry["gate_run"],
        entry["from_result_id"],
    )


def fingerprint(period: str) -> str:
    with connect(Role.PUBLISHER) as connection:
        return month_fingerprints(connection, period)[period]


def findings() -> list[str]:
    with connect(Role.AUDITOR) as connection:
        return [finding.what for finding in audit.verify(connection)]


def hash_of(texts: list[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def test_an_acceptance_vouches_for_its_rules_their_results_and_its_quarantine(
    clean: Warehouse,
) -> None:
    """Every hash of the result is recomputed here from the rows, by other means."""
    period = "2024-01"
    deliver(clean, members(period, 7, 9), period)
    take(period)
    (result,) = judgements(period)
    details = result["details"]
    rows = query(
        "select to_jsonb(t)::text from audit.rule_result as t where gate_run = %s order by id",
        details["gate_run"],
    )
    assert len(rows) == details["rules_run"] == len(get_suite("intake", SUITE).rules)
    assert details["rule_results_sha256"] == hash_of([text for (text,) in rows])
    refused = query(
        "select (to_jsonb(q) - 'at')::text from quarantine.\"row\" as q where batch_id = %s"
        " order by row_number, rule_id, column_name",
        result["batch_id"],
    )
    assert len(refused) == details["quarantine_rows"] == 2
    assert details["quarantine_sha256"] == hash_of([text for (text,) in refused])
    assert details["suite_sha256"] == get_suite("intake", SUITE).sha256
    assert details["contract_hash"] == get_dataset(SOURCE, DATASET).contract_hash
    assert findings() == []


@pytest.mark.parametrize("table", ["audit.rule_result", 'quarantine."row"'])
def test_a_changed_row_no_longer_has_the_hash_that_was_recorded(
    clean: Warehouse, table: str
) -> None:
    period = "2024-02" if table == "audit.rule_result" else "2024-03"
    deliver(clean, members(period, 7), period)
    batch_id = take(period).subject_id
    details = judgements(period)[0]["details"]

    with connect(Role.ADMIN) as connection:
        result_id = judgements(period)[0]["id"]
        found = (
            rule_results_digest(connection, batch_id, details["gate_run"]).sha256,
            quarantine_digest(connection, batch_id, result_id).sha256,
        )
        assert found == (details["rule_results_sha256"], details["quarantine_sha256"])
        column, batch, name = (
            ("observed", "subject_id", f"audit.rule_result {batch_id} {details['gate_run']}")
            if table == "audit.rule_result"
            else ("reason_en", "batch_id", f"quarantine.judged_row {batch_id} {result_id}")
        )
        connection.execute("alter table audit.rule_result disable trigger append_only")
        connection.execute(f"update {table} set {column} = 'x' where {batch} = %s", (batch_id,))
        (finding,) = audit.verify(connection)
        connection.rollback()
    assert finding.what.startswith(f"{name}: its ")


def test_a_result_that_was_not_written_stops_the_gate(
    clean: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    period = "2025-04"
    deliver(clean, members(period), period)
    monkeypatch.setattr(intake_gate, "write_rule_results", lambda *_: None)
    with pytest.raises(AssertionError, match=r"0 of \d+ rule results written"):
        take(period)
    assert (raw_numbers(period), judgements(period)) == ([], [])


def test_two_runs_of_the_gate_on_one_batch_are_told_apart(clean: Warehouse) -> None:
    """Both have the run id ``manual``."""
    period = "2024-04"
    deliver(clean, members(period, *range(1, 31)), period)
    assert [take(period).status, take(period).status] == ["held", "held"]
    runs = [result["details"]["gate_run"] for result in judgements(period)]
    assert len(set(runs)) == 2
    counted = query(
        "select gate_run::text, count(*) from audit.rule_result where gate_run = any(%s::uuid[])"
        " group by 1",
        runs,
    )
    rules = len(get_suite("intake", SUITE).rules)
    assert dict(counted) == dict.fromkeys(runs, rules)


def test_a_suite_s_hash_follows_what_decides_and_nothing_else(
    change_rule: Callable[..., None],
) -> None:
    def digest() -> str:
        return get_suite("intake", SUITE).sha256

    before = digest()
    change_rule(lambda rule: rule["meta"].update(owner="another owner"))
    assert digest() == before
    seen = {before}
    for edit in (
        lambda rule: rule["meta"].update(version=9),
        lambda rule: rule["meta"].update(kind="dataset"),
        lambda rule: rule["meta"].update(column="sex_code"),
        lambda rule: rule["kwargs"].update(unexpected_rows_query="SELECT 1 FROM {batch}"),
        lambda rule: rule.update(severity="info"),
        lambda rule: rule["meta"].update(id="hi_members.renamed"),
    ):
        change_rule(edit)
        assert digest() not in seen
        seen.add(digest())


def test_a_changed_rule_gives_rows_back_when_the_month_is_imported_again(
    clean: Warehouse, change_rule: Callable[..., None]
) -> None:
    period = "2024-05"
    deliver(clean, members(period, 7, 9), period)
    first = take(period)
    print_before = fingerprint(period)
    assert import_dataset(SOURCE, DATASET, period).status == "unchanged"
    change_rule(only_warn)
    second = take(period)
    assert (second.status, second.rows_loaded, second.rows_quarantined) == ("accepted", 60, 0)
    assert second.subject_id == first.subject_id
    assert second.reason == "judged again because the suite has changed"
    assert raw_numbers(period) == list(range(1, 61))
    assert fingerprint(period) != print_before
    (entry,) = ledger(period)
    assert (entry["how"], entry["rules_changed"]) == ("rule_change", True)
    assert (entry["rows_quarantined_before"], entry["rows_quarantined_now"]) == (2, 0)
    assert (entry["rows_readmitted"], entry["rows_still_quarantined"]) == (2, 0)
    assert readmitted(entry) == [(7, [UNIT_RULE]), (9, [UNIT_RULE])]
    rows = query(
        "select to_jsonb(t)::text from audit.readmitted_row as t where gate_run = %s"
        " order by row_number",
        entry["gate_run"],
    )
    assert entry["rows_sha256"] == hash_of([text for (text,) in rows])
    # What the first judgement refused is still there, with the hash that it recorded.
    accepted = judgements(period)[0]
    with connect(Role.AUDITOR) as connection:
        refused = quarantine_digest(connection, first.subject_id, accepted["id"])
    assert (refused.rows, refused.sha256) == (2, accepted["details"]["quarantine_sha256"])
    assert import_dataset(SOURCE, DATASET, period).status == "unchanged"
    assert findings() == []


def test_a_judgement_that_leaves_the_same_rows_computes_nothing_anew(
    clean: Warehouse, change_rule: Callable[..., None]
) -> None:
    period = "2024-06"
    deliver(clean, members(period, 7), period)
    take(period)
    before = fingerprint(period)
    change_rule(lambda rule: rule["meta"].update(version=2))
    again = take(period)
    assert (again.status, again.rows_loaded, again.rows_quarantined) == ("accepted", 59, 1)
    assert fingerprint(period) == before
    (entry,) = ledger(period)
    assert (entry["rows_readmitted"], entry["rows_still_quarantined"]) == (0, 1)


def test_a_changed_contract_is_a_reason_to_judge_again(
    clean: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    period = "2024-07"
    deliver(clean, members(period), period)
    take(period)
    changed = dataclasses.replace(get_dataset(SOURCE, DATASET), contract_hash="another")
    monkeypatch.setattr(load_stage, "get_dataset", lambda *_: changed)
    again = take(period)
    assert again.reason == "judged again because the contract has changed"
    assert judgements(period)[-1]["details"]["contract_hash"] == "another"
    assert import_dataset(SOURCE, DATASET, period).status == "unchanged"


def test_a_month_that_the_new_rules_hold_keeps_its_rows_and_says_so(
    clean: Warehouse, change_rule: Callable[..., None]
) -> None:
    period = "2024-08"
    deliver(clean, members(period, 7), period)
    take(period)
    before, rows = fingerprint(period), raw_numbers(period)
    change_rule(refuse_all)
    held = take(period)
    assert held.status == "held"
    assert "the rows that were accepted before stay in raw" in (held.reason or "")
    assert "judged again because the suite has changed" in (held.reason or "")
    assert (raw_numbers(period), fingerprint(period)) == (rows, before)
    accepted = judgements(period)[0]
    with connect(Role.AUDITOR) as connection:
        refused = quarantine_digest(connection, held.subject_id, accepted["id"])
        current = connection.execute(
            "select batch_id, result_id from audit.batch_accepted where period = %s", (period,)
        ).fetchone()
    assert refused.sha256 == accepted["details"]["quarantine_sha256"]
    assert current == (held.subject_id, accepted["id"])
    # The rule is taken back: judged once more, with the same rows as at first.
    change_rule(lambda rule: rule.update(_rule()))
    back = take(period)
    assert back.status == "accepted"
    assert (raw_numbers(period), fingerprint(period)) == (rows, before)
    assert [entry["rows_quarantined_before"] for entry in ledger(period)] == [60]
    assert import_dataset(SOURCE, DATASET, period).status == "unchanged"
    assert findings() == []


def _rule() -> dict[str, Any]:
    path = EXPECTATIONS_DIR / "intake" / f"{SUITE}.json"
    rules = json.loads(path.read_text("utf-8"))["expectations"]
    return next(rule for rule in rules if rule["meta"]["id"] == UNIT_RULE)


def test_a_held_month_comes_in_when_the_rule_that_held_it_is_put_right(
    clean: Warehouse, change_rule: Callable[..., None]
) -> None:
    period = "2024-09"
    deliver(clean, members(period, *range(1, 31)), period)
    assert [take(period).status, take(period).status] == ["held", "held"]
    change_rule(only_warn)
    assert take(period).status == "accepted"
    (entry,) = ledger(period)
    assert (entry["how"], entry["rows_readmitted"]) == ("rule_change", 30)
    assert [number for number, _ in readmitted(entry)] == list(range(1, 31))


def test_a_correction_readmits_exactly_the_rows_that_it_put_right(clean: Warehouse) -> None:
    period = "2024-10"
    path = deliver(clean, members(period, 7, 9, 11), period)
    first = take(period)
    by = "đã gọi điện hỏi lại,phòng CNTT"
    correct(path, f"7,,MA_XA,99999,21010,{by}", f"9,,*,MA_XA=99999,delete,{by}")
    second = take(period)
    (entry,) = ledger(period)
    assert (entry["how"], entry["rules_changed"]) == ("correction", False)
    assert (entry["batch_id"], entry["from_batch_id"]) == (second.subject_id, first.subject_id)
    # Row 7 is back, row 11 is still refused, row 9 was deleted.
    assert (entry["rows_quarantined_before"], entry["rows_quarantined_now"]) == (3, 1)
    assert (entry["rows_readmitted"], entry["rows_still_quarantined"]) == (1, 1)
    assert readmitted(entry) == [(7, [UNIT_RULE])]
    stays = query(
        'select row_number from quarantine."row" where batch_id = %s order by 1', first.subject_id
    )
    assert stays == [(7,), (9,), (11,)]
    assert findings() == []


def test_a_restatement_is_compared_by_its_counts(clean: Warehouse) -> None:
    period = "2024-11"
    deliver(clean, members(period, 7, 9), period)
    first = take(period)
    reason = {"reason": "the agency has put the commune codes right"}
    deliver(clean, members(period, 9), period, restatement=reason)
    take(period)
    (entry,) = ledger(period)
    assert (entry["how"], entry["from_batch_id"]) == ("restatement", first.subject_id)
    assert (entry["rows_quarantined_before"], entry["rows_quarantined_now"]) == (2, 1)
    assert (entry["rows_readmitted"], entry["rows_sha256"]) == (None, None)
    assert readmitted(entry) == []


def test_the_ledger_settles_every_judgement_since_the_last_acceptance(clean: Warehouse) -> None:
    """A good month, a restatement that is held, and the one that puts it right."""
    period = "2024-12"
    deliver(clean, members(period, 7), period)
    take(period)
    reason = {"reason": "restated by the agency"}
    deliver(clean, members(period, *range(1, 31)), period, restatement=reason)
    assert take(period).status == "held"
    deliver(clean, members(period), period, restatement=reason)
    assert take(period).status == "accepted"
    assert [entry["rows_quarantined_before"] for entry in ledger(period)] == [1, 30]


def test_a_changed_ledger_of_readmissions_is_found(clean: Warehouse) -> None:
    period = "2025-01"
    path = deliver(clean, members(period, 7), period)
    take(period)
    correct(path, "7,,MA_XA,99999,21010,đã hỏi lại,phòng CNTT")
    take(period)
    (entry,) = ledger(period)
    assert findings() == []
    with connect(Role.ADMIN) as connection:
        connection.execute("alter table audit.readmission disable trigger append_only")
        connection.execute(
            "update audit.readmission set rows_readmitted = 0 where id = %s", (entry["id"],)
        )
    found = findings()
    with connect(Role.ADMIN) as connection:
        connection.execute(
            "update audit.readmission set rows_readmitted = 1 where id = %s", (entry["id"],)
        )
        connection.execute("alter table audit.readmission enable always trigger append_only")
    assert len(found) == 1
    assert f"audit.readmission {entry['id']}" in found[0]
    assert findings() == []


def test_a_month_whose_bytes_are_purged_is_kept_until_its_file_comes_again(
    clean: Warehouse, change_rule: Callable[..., None]
) -> None:
    period = "2025-02"
    deliver(clean, members(period, 7), period)
    batch_id = take(period).subject_id
    assert batch_id in purge_expired(retention_days=-1)
    change_rule(only_warn)
    kept = load(batch_id)
    assert kept.status == "unchanged"
    assert "the suite has changed" in (kept.reason or "")
    assert "purged by retention" in (kept.reason or "")
    with pytest.raises(LookupError, match="load it before the gate"):
        gate_intake(batch_id)
    assert len(raw_numbers(period)) == 59
    assert land(SOURCE, DATASET, period).status == "unchanged"
    assert take(period).status == "accepted"
    assert len(raw_numbers(period)) == 60
    with connect(Role.AUDITOR) as connection:
        assert audit.verify(connection, landing=get_settings().landing) == []


def test_a_judgement_cut_off_after_the_load_loses_nothing_of_the_acceptance(
    clean: Warehouse, change_rule: Callable[..., None]
) -> None:
    """Loaded under new rules twice, never judged: the accepted quarantine is still told apart."""
    period = "2025-03"
    deliver(clean, members(period, 7), period)
    batch_id = take(period).subject_id
    accepted = judgements(period)[0]
    change_rule(only_warn)
    assert [load(batch_id).status, load(batch_id).status] == ["loaded", "loaded"]
    with connect(Role.AUDITOR) as connection:
        refused = quarantine_digest(connection, batch_id, accepted["id"])
    assert (refused.rows, refused.sha256) == (1, accepted["details"]["quarantine_sha256"])
    assert take(period).status == "accepted"
    assert [entry["rows_readmitted"] for entry in ledger(period)] == [1]
