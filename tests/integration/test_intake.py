"""Land, load and gate on a real PostgreSQL: what bad deliveries do, and what reruns leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from loaders import audit
from loaders.postgres.database import Role, connect
from loaders.quality.runner import RuleOutcome, run_suite
from loaders.quality.suites import get_suite
from loaders.settings import SettingsError, get_settings
from loaders.stages.gate import gate_intake, intake
from loaders.stages.intake import import_dataset
from loaders.stages.land import land, purge_expired
from loaders.stages.load import load
from loaders.stages.records import GateResult
from tests.conftest import Warehouse
from tests.integration.members import DATASET, HEADER, SOURCE, correct, deliver, row


def snapshot(period: str) -> tuple[list[Any], list[Any]]:
    """Raw and quarantine of a month, times aside."""
    with connect(Role.ADMIN) as connection:
        raw = connection.execute(
            "select * from raw.social_insurance__health_insurance_members where _period = %s"
            " order by _row_number",
            (period,),
        ).fetchall()
        quarantine = connection.execute(
            "select to_jsonb(q) - 'at' from quarantine.\"row\" q where period = %s"
            " order by row_number, rule_id, column_name",
            (period,),
        ).fetchall()
    return raw, quarantine


def test_a_delivery_reaches_raw_and_its_bad_rows_quarantine(clean: Warehouse) -> None:
    rows = [row(i) for i in range(100)] + [row(200, sex="9"), row(201, unit="99999"), "one;two"]
    deliver(clean, rows, control_totals={"rows": 103})
    result = import_dataset(SOURCE, DATASET, "2025-06")
    assert (result.status, result.rows_loaded, result.rows_quarantined) == ("accepted", 100, 3)
    raw, quarantine = snapshot("2025-06")
    assert len(raw) == 100
    found = {(q[0]["row_number"], q[0]["column_name"], q[0]["rule_id"]) for q in quarantine}
    assert found == {
        (101, "sex_code", "contract.enum"),
        (102, "residence_unit_code", "hi_members.unit_valid_on_date"),
        (103, None, "contract.row"),
    }
    for entry in (q[0] for q in quarantine):
        assert entry["reason_vi"] and entry["reason_en"] and entry["file_sha256"]
    text = repr((raw, quarantine))
    assert "051185" not in text
    assert "Hoa" not in text


def test_the_same_file_again_is_a_no_op(clean: Warehouse) -> None:
    deliver(clean, [row(i, month="01/2024") for i in range(20)], "2024-01")
    assert import_dataset(SOURCE, DATASET, "2024-01").status == "accepted"
    before = snapshot("2024-01")
    assert land(SOURCE, DATASET, "2024-01").status == "unchanged"
    assert import_dataset(SOURCE, DATASET, "2024-01").status == "unchanged"
    assert snapshot("2024-01") == before


def test_the_rules_and_the_models_know_how_many_rows_were_loaded(clean: Warehouse) -> None:
    """Without statistics PostgreSQL plans for ten pages, and a big join takes minutes."""
    deliver(clean, [row(i, month="01/2023") for i in range(300)], "2023-01")
    assert import_dataset(SOURCE, DATASET, "2023-01").status == "accepted"
    with connect(Role.ADMIN) as connection:
        known = connection.execute(
            "select reltuples from pg_class where relname like 'social_insurance%2023_01'"
        ).fetchone()
    assert known == (300,)


def test_a_different_file_is_refused_until_it_is_declared_a_restatement(clean: Warehouse) -> None:
    period, month = "2024-02", "02/2024"
    deliver(clean, [row(i, month=month) for i in range(20)], period)
    assert import_dataset(SOURCE, DATASET, period).status == "accepted"
    before = snapshot(period)
    deliver(clean, [row(i, month=month) for i in range(30)], period)
    refused = land(SOURCE, DATASET, period)
    assert refused.status == "refused"
    assert "differs from the file already loaded for 2024-02" in (refused.reason or "")
    assert snapshot(period) == before
    reason = {"reason": "the agency found ten cards it had left out"}
    deliver(clean, [row(i, month=month) for i in range(30)], period, restatement=reason)
    assert import_dataset(SOURCE, DATASET, period).status == "accepted"
    assert len(snapshot(period)[0]) == 30
    # The first file again would take the month back in time: refused like any other.
    deliver(clean, [row(i, month=month) for i in range(20)], period)
    assert land(SOURCE, DATASET, period).status == "refused"


@pytest.mark.parametrize(
    ("period", "rows", "header", "note", "reason"),
    [
        ("2024-03", [], HEADER, {}, "a header but no rows"),
        ("2024-04", [row(1)], HEADER.replace("MA_XA", "MA_PHUONG"), {}, "missing ['MA_XA']"),
        ("2024-05", [row(1)], HEADER, {}, "the rows are of 2025-06, the delivery is for 2024-05"),
        (
            "2024-06",
            [row(i, month="06/2024") for i in range(9)],
            HEADER,
            {"control_totals": {"rows": 12}},
            "the side-car states 12 rows but 9 were read",
        ),
    ],
)
def test_a_file_that_is_not_its_contract_s_is_refused_whole(
    clean: Warehouse,
    period: str,
    rows: list[str],
    header: str,
    note: dict[str, Any],
    reason: str,
) -> None:
    deliver(clean, rows, period, header, **note)
    result = import_dataset(SOURCE, DATASET, period)
    assert result.status == "refused"
    assert reason in (result.reason or "")
    assert f"DS_THE_BHYT_{period.replace('-', '')}.csv" in (result.reason or "")
    assert snapshot(period) == ([], [])
    assert stage_tables() == []


def stage_tables() -> list[str]:
    with connect(Role.ADMIN) as connection:
        rows = connection.execute(
            "select tablename from pg_tables where schemaname = 'stage'"
        ).fetchall()
    return [name for (name,) in rows]


def test_an_empty_file_is_refused_and_nothing_is_missing_silently(clean: Warehouse) -> None:
    missing = land(SOURCE, DATASET, "2024-07")
    assert missing.status == "missing"
    assert "expected social_insurance/2024-07/DS_THE_BHYT_202407.csv" in (missing.reason or "")
    deliver(clean, [], "2024-07").write_bytes(b"")
    empty = land(SOURCE, DATASET, "2024-07")
    assert (empty.status, empty.batch_id) == ("refused", None)
    assert "is empty (0 bytes); ask for the file again" in (empty.reason or "")


def test_the_file_of_another_month_under_a_new_name_is_refused(clean: Warehouse) -> None:
    path = deliver(clean, [row(i, month="08/2024") for i in range(9)], "2024-08")
    assert land(SOURCE, DATASET, "2024-08").status == "landed"
    copy = deliver(clean, [], "2024-09")
    copy.write_bytes(path.read_bytes())
    result = land(SOURCE, DATASET, "2024-09")
    assert result.status == "refused"
    assert "byte for byte the file of 2024-08" in (result.reason or "")


def test_a_side_car_that_cannot_be_read_is_refused(clean: Warehouse) -> None:
    path = deliver(clean, [row(1)], "2024-10", data_label="invented")
    result = land(SOURCE, DATASET, "2024-10")
    assert result.status == "refused"
    assert f"{path.name}.delivery.json: data_label" in (result.reason or "")


def test_too_many_bad_rows_hold_the_batch_and_the_last_good_data_stay(clean: Warehouse) -> None:
    period, month = "2024-11", "11/2024"
    deliver(clean, [row(i, month=month) for i in range(20)], period)
    assert import_dataset(SOURCE, DATASET, period).status == "accepted"
    raw_before = snapshot(period)[0]
    bad = [row(100 + i, month=month, unit="99999") for i in range(10)]
    reason = {"reason": "a second delivery with wrong commune codes"}
    deliver(clean, [row(i, month=month) for i in range(20)] + bad, period, restatement=reason)
    held = import_dataset(SOURCE, DATASET, period)
    assert held.status == "held"
    assert "10 of 30 rows are in quarantine, more than 5.0%" in (held.reason or "")
    raw_after, quarantine = snapshot(period)
    assert raw_after == raw_before
    assert len(quarantine) == 10


def test_every_rule_of_the_suite_leaves_a_result(clean: Warehouse) -> None:
    deliver(clean, [row(i, month="12/2024") for i in range(20)], "2024-12")
    result = import_dataset(SOURCE, DATASET, "2024-12")
    with connect(Role.AUDITOR) as connection:
        rows = connection.execute(
            "select rule_id, rows_scanned, result from audit.rule_result where subject_id = %s",
            (result.subject_id,),
        ).fetchall()
    suite = get_suite("intake", f"{SOURCE}__{DATASET}")
    assert sorted(row[0] for row in rows) == sorted(rule.meta.id for rule in suite.rules)
    assert result.rules_run == len(suite.rules)
    assert {row[1] for row in rows} == {20}


def test_a_batch_that_was_never_loaded_cannot_pass_the_gate(clean: Warehouse) -> None:
    deliver(clean, [row(i, month="01/2026") for i in range(20)], "2026-01")
    landed = land(SOURCE, DATASET, "2026-01")
    with pytest.raises(LookupError, match="load it before the gate"):
        gate_intake(landed.batch_id or "")


def test_rows_that_the_rules_did_not_see_are_not_taken(
    clean: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loaded once more while its rules ran: other rows than those that were counted and judged."""
    deliver(clean, [row(i, month="06/2024") for i in range(20)], "2024-06")
    batch_id = land(SOURCE, DATASET, "2024-06").batch_id or ""
    load(batch_id)

    def judged_and_loaded_again(*args: Any) -> list[RuleOutcome]:
        outcomes = run_suite(*args)
        assert load(batch_id).status == "loaded"
        return outcomes

    with monkeypatch.context() as patch:
        patch.setattr(intake, "run_suite", judged_and_loaded_again)
        with pytest.raises(RuntimeError, match="by others meanwhile"):
            gate_intake(batch_id)
    assert gate_intake(batch_id).status == "accepted"


def test_without_a_key_nothing_is_loaded(clean: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(clean, [row(1, month="02/2026")], "2026-02")
    landed = land(SOURCE, DATASET, "2026-02")
    monkeypatch.setenv("NQ42_PSEUDONYM_KEY", "")
    get_settings.cache_clear()
    with pytest.raises(SettingsError, match="NQ42_PSEUDONYM_KEY is not set"):
        load(landed.batch_id or "")
    monkeypatch.undo()
    get_settings.cache_clear()


def test_landing_files_are_the_owner_s_only_and_leave_after_retention(clean: Warehouse) -> None:
    deliver(clean, [row(1, month="03/2026")], "2026-03")
    landed = land(SOURCE, DATASET, "2026-03")
    store = get_settings().landing
    files = [path for path in store.rglob("*") if path.is_file()]
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}
    assert oct(store.stat().st_mode & 0o777) == "0o700"
    assert purge_expired(get_settings().landing_retention_days) == []
    assert landed.batch_id in purge_expired(retention_days=-1)
    assert [path for path in store.rglob("*") if path.is_file()] == []
    refused = load(landed.batch_id or "")
    assert "purged by retention" in (refused.reason or "")
    with connect(Role.AUDITOR) as connection:
        row_ = connection.execute(
            "select sha256 from audit.receipt where batch_id = %s", (landed.batch_id,)
        ).fetchone()
    assert row_ == (landed.sha256,)


KILLED = """
    import importlib, os, signal, sys
    module = importlib.import_module("loaders.stages.{module}")
    def die(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGKILL)
    module.{function} = die
    from loaders.stages.intake import import_dataset
    import_dataset("social_insurance", "health_insurance_members", sys.argv[1])
"""


@pytest.mark.parametrize(
    ("period", "module", "function"),
    [
        ("2026-04", "land", "_record"),
        ("2026-05", "load", "_record"),
        ("2026-06", "gate.swap", "_drop_superseded"),
    ],
)
def test_a_stage_killed_in_the_middle_leaves_nothing_half_done(
    clean: Warehouse, period: str, module: str, function: str
) -> None:
    month = f"{period[5:]}/{period[:4]}"
    rows = [row(i, month=month) for i in range(50)] + [row(99, month=month, sex="9")]
    deliver(clean, rows, period)
    script = textwrap.dedent(KILLED.format(module=module, function=function))
    killed = subprocess.run(
        [sys.executable, "-c", script, period],
        env=os.environ.copy(),
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert snapshot(period)[0] == []
    result = import_dataset(SOURCE, DATASET, period)
    assert (result.status, result.rows_loaded, result.rows_quarantined) == ("accepted", 50, 1)
    raw, quarantine = snapshot(period)
    assert (len(raw), len(quarantine)) == (50, 1)
    with connect(Role.AUDITOR) as connection:
        accepted = connection.execute(
            "select count(*) from audit.batch_result where period = %s and status = 'accepted'",
            (period,),
        ).fetchone()
    assert accepted == (1,)


def raw_rows(period: str) -> list[tuple[int, str]]:
    with connect(Role.LOADER) as connection:
        return connection.execute(
            "select _row_number, residence_unit_code from raw.social_insurance__"
            "health_insurance_members where _period = %s order by 1",
            (period,),
        ).fetchall()


def test_a_correction_brings_a_quarantined_row_back_and_its_file_is_in_the_audit(
    clean: Warehouse,
) -> None:
    period = "2026-02"
    rows = [row(n, month="02/2026", unit="2101A" if n == 2 else "21010") for n in range(1, 41)]
    path = deliver(clean, rows, period)
    first = import_dataset(SOURCE, DATASET, period)
    assert isinstance(first, GateResult)
    assert [number for number, _ in raw_rows(period)] == [1, *range(3, 41)]
    by_phone = "đã gọi điện hỏi lại,phòng CNTT"
    corrections = correct(
        path, f"2,,MA_XA,2101A,21010,{by_phone}", f"3,,*,MA_XA=21010,delete,{by_phone}"
    )
    second = import_dataset(SOURCE, DATASET, period)
    assert isinstance(second, GateResult)
    assert first.subject_id != second.subject_id
    assert raw_rows(period) == [(n, "21010") for n in range(1, 41) if n != 3]
    with connect(Role.AUDITOR) as connection:
        details = connection.execute(
            "select details from audit.batch_result where batch_id = %s and stage = 'load'",
            (second.subject_id,),
        ).fetchone()
        assert audit.verify(connection, landing=get_settings().landing) == []
        landed = connection.execute(
            "select corrections_path from audit.receipt where batch_id = %s", (second.subject_id,)
        ).fetchone()
    assert details == ({"set_aside": {"deleted by correction": 1}},)
    assert landed is not None
    kept = get_settings().landing / landed[0]
    assert kept.read_bytes() == corrections.read_bytes()
    assert kept.stat().st_mode & 0o077 == 0
    content = kept.read_bytes()
    kept.write_bytes(content.replace(b"21010", b"21011"))
    with connect(Role.AUDITOR) as connection:
        found = audit.verify(connection, landing=get_settings().landing)
    kept.write_bytes(content)
    assert [landed[0] in finding.what for finding in found] == [True]
    corrections.unlink()
    gone = land(SOURCE, DATASET, period)
    assert gone.status == "refused"
    assert "with corrections" in (gone.reason or "")


def test_a_correction_that_expects_another_text_refuses_the_file_and_the_good_month_stays(
    clean: Warehouse,
) -> None:
    period = "2026-03"
    path = deliver(clean, [row(n, month="03/2026") for n in range(1, 41)], period)
    import_dataset(SOURCE, DATASET, period)
    before = snapshot(period)
    correct(path, "2,,MA_XA,21025,21010,đổi mã xã theo công văn,phòng CNTT")
    landed = land(SOURCE, DATASET, period)
    refused = load(landed.batch_id or "")
    assert refused.status == "refused"
    assert "row 2, column 'MA_XA': another text than the expected one" in (refused.reason or "")
    assert snapshot(period) == before
