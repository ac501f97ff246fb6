"""Nothing with failing warnings is published unless a named person answered for just that."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from loaders import audit
from loaders.postgres.database import Role, connect
from loaders.publication import PublishError
from loaders.quality.suites import read_suite
from loaders.stages.approve import (
    ApprovalError,
    Decision,
    approve,
    get_standing,
    list_waiting,
)
from loaders.stages.build import BuildError, build
from loaders.stages.gate import gate_release
from loaders.stages.gate import release as release_gate
from loaders.stages.publish import publish
from tests.candidates import judge_candidate, make_candidate

pytestmark = pytest.mark.usefixtures("warehouse")

PERSON, REASON = "Nguyễn Thị Lan", "Sở Y tế xác nhận gửi muộn, số liệu tháng trước còn đúng"
LATE = {
    "rule_id": "data_quality.delivered_on_time",
    "rule_version": 1,
    "observed": "2 rows",
    "description_vi": "Một nguồn chưa gửi kỳ mới nhất",
    "description_en": "A source is missing in the newest period",
}
OTHER = LATE | {"rule_id": "kpi_value.coverage_at_most_100", "observed": "1 rows"}


def waiting_candidate(
    name: str, warnings: tuple[Any, ...] = (LATE,), period: str = "2025-06"
) -> str:
    candidate_id = f"{period}-{name}"
    make_candidate(candidate_id, [{"unit_code": name}], passed=False, period=period)
    judge_candidate(candidate_id, audit.GATE_WAITING, warnings=warnings, period=period)
    return candidate_id


def decide(candidate_id: str, **given: Any) -> Decision:
    return approve(candidate_id, **{"by": PERSON, "reason": REASON, "account": "lan"} | given)


def rows(query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connect(Role.ADMIN) as connection:
        return connection.execute(query, parameters or None).fetchall()


def is_published(candidate_id: str) -> bool:
    return bool(rows("select from publication.release where candidate_id = %s", candidate_id))


def verify() -> list[str]:
    with connect(Role.AUDITOR) as connection:
        return [finding.what for finding in audit.verify(connection)]


def test_an_approved_candidate_is_published_and_its_manifest_names_the_approval() -> None:
    candidate_id = waiting_candidate("good")
    assert [(w.subject_id, len(w.findings)) for w in list_waiting()] == [(candidate_id, 1)]
    assert decide(candidate_id).status == "recorded"
    assert decide(candidate_id).status == "unchanged"
    assert list_waiting() == []
    assert publish(candidate_id).status == "published"
    assert get_standing(candidate_id) == "published"
    ((manifest,),) = rows(
        "select manifest from publication.release where candidate_id = %s", candidate_id
    )
    (approval,) = manifest["approvals"]
    assert (approval["decided_by"], approval["reason"], approval["via"]) == (PERSON, REASON, "cli")
    assert approval["rules"] == [LATE]
    assert rows("select count(*) from audit.approval where subject_id = %s", candidate_id) == [(1,)]
    assert verify() == []


def test_without_an_approval_there_is_no_release() -> None:
    candidate_id = waiting_candidate("none")
    with pytest.raises(PublishError, match="waits for an approval: rule data_quality"):
        publish(candidate_id)
    assert not is_published(candidate_id)


def test_an_approval_of_another_candidate_does_not_count() -> None:
    first = waiting_candidate("first")
    decide(first)
    second = waiting_candidate("second")
    with pytest.raises(PublishError, match="waits for an approval"):
        publish(second)
    with pytest.raises(ApprovalError, match="does not hold"):
        decide(first)


def test_a_candidate_that_was_rebuilt_needs_a_new_approval() -> None:
    candidate_id = waiting_candidate("rebuilt")
    decide(candidate_id)
    make_candidate(candidate_id, [{"unit_code": "rebuilt", "value": 11}], passed=False)
    judge_candidate(candidate_id, audit.GATE_WAITING, warnings=[LATE])
    assert get_standing(candidate_id) == "open"
    with pytest.raises(PublishError, match="waits for an approval"):
        publish(candidate_id)


@pytest.mark.parametrize("kind", [audit.GATE_WAITING, audit.GATE_PASSED])
def test_a_cell_that_was_changed_after_the_judgement_stops_the_release(kind: str) -> None:
    candidate_id = waiting_candidate("altered")
    decide(candidate_id)
    judge_candidate(candidate_id, kind, warnings=[LATE])
    with connect(Role.ADMIN) as connection:
        connection.execute("update candidate.fct_kpi_value set value = 12")
    with pytest.raises(PublishError, match="not what the release gate judged"):
        publish(candidate_id)
    if kind == audit.GATE_WAITING:
        with pytest.raises(ApprovalError, match="changed after the gate judged it"):
            decide(candidate_id, is_rejection=True)


@pytest.mark.parametrize(
    "warnings",
    [
        [LATE, OTHER],
        [LATE | {"observed": "3 rows"}],
        [LATE | {"rule_version": 2}],
    ],
    ids=["another rule", "another figure", "another version"],
)
def test_a_warning_that_the_approval_did_not_name_stops_the_release(
    warnings: list[dict[str, Any]],
) -> None:
    candidate_id = waiting_candidate("more")
    decide(candidate_id)
    judge_candidate(candidate_id, audit.GATE_WAITING, warnings=warnings)
    assert get_standing(candidate_id) == "open"
    with pytest.raises(PublishError, match="does not cover"):
        publish(candidate_id)
    decide(candidate_id)
    assert get_standing(candidate_id) == "approved"


def test_an_approval_of_more_than_still_fails_is_enough() -> None:
    candidate_id = waiting_candidate("fewer", (LATE, OTHER))
    decide(candidate_id)
    judge_candidate(candidate_id, audit.GATE_WAITING, warnings=[OTHER])
    assert publish(candidate_id).status == "published"


def test_a_rejected_candidate_stays_unpublished_until_it_is_judged_and_approved_again() -> None:
    candidate_id = waiting_candidate("rejected")
    decide(candidate_id)
    decide(candidate_id, is_rejection=True, by="Trần Văn Bình")
    assert get_standing(candidate_id) == "rejected"
    with pytest.raises(PublishError, match="was rejected by Trần Văn Bình"):
        publish(candidate_id)
    judge_candidate(candidate_id, audit.GATE_WAITING, warnings=[LATE])
    assert get_standing(candidate_id) == "open"  # the approval before the rejection is void
    with pytest.raises(PublishError, match="was rejected"):
        publish(candidate_id)
    decide(candidate_id)
    assert publish(candidate_id).status == "published"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (audit.GATE_HELD, "held and cannot be approved"),
        (audit.GATE_PASSED, "needs no approval"),
    ],
)
def test_only_what_waits_can_be_approved(kind: str, message: str) -> None:
    candidate_id = waiting_candidate("other")
    judge_candidate(candidate_id, kind)
    with pytest.raises(ApprovalError, match=message):
        decide(candidate_id)


def test_a_critical_failure_after_the_approval_stops_the_release() -> None:
    candidate_id = waiting_candidate("worse")
    decide(candidate_id)
    judge_candidate(candidate_id, audit.GATE_HELD)
    with pytest.raises(PublishError, match="did not pass"):
        publish(candidate_id)


def test_an_older_month_does_not_take_the_place_of_one_that_waits() -> None:
    """With nothing accepted `build` ends where it names the month that it would compute."""
    candidate_id = waiting_candidate("later", period="2025-09")
    with pytest.raises(BuildError, match="nothing is accepted up to 2025-09:"):
        build("2025-08")
    decide(candidate_id)
    with pytest.raises(BuildError, match="nothing is accepted up to 2025-09:"):
        build("2025-08")
    decide(candidate_id, is_rejection=True)
    with pytest.raises(BuildError, match="nothing is accepted up to 2025-08:"):
        build("2025-08")


def test_a_candidate_that_the_gate_never_saw_cannot_be_approved() -> None:
    make_candidate("2025-06-unseen", [{}], passed=False)
    with pytest.raises(ApprovalError, match="the gate has not seen it"):
        decide("2025-06-unseen")


NAMES = ["", "  ", "Lan", "admin", "nq42_publisher", "System Administrator", "Quản trị viên", "A 1"]


@pytest.mark.parametrize("name", NAMES)
def test_a_decision_has_a_person_s_name(name: str) -> None:
    candidate_id = waiting_candidate("names")
    with pytest.raises(ApprovalError, match="no person's name"):
        decide(candidate_id, by=name)
    assert rows("select from audit.approval where subject_id = %s", candidate_id) == []


@pytest.mark.parametrize("name", ["Nguyễn Thị Lan", " y  Bhăm  Niê ", "H’Hen Niê", "Lê-Anh Đào"])
def test_names_of_people_are_taken(name: str) -> None:
    candidate_id = waiting_candidate(name.strip()[:2])
    assert decide(candidate_id, by=name).decided_by == " ".join(name.split())


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("", "has 0 characters"),
        ("   ok      ", "has 2 characters"),
        ("Đã gọi cho người có số 051203004567", "may identify a person"),
    ],
)
def test_a_decision_has_a_reason_without_personal_numbers(reason: str, message: str) -> None:
    candidate_id = waiting_candidate("reasons")
    with pytest.raises(ApprovalError, match=message):
        decide(candidate_id, reason=reason)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("decided_by", "admin"),
        ("reason", "short"),
        ("rules", "[]"),
        ("via", "mail"),
        ("account", ""),
        ("decision", "perhaps"),
        ("content_sha256", "x"),
    ],
)
def test_the_database_refuses_a_decision_with_a_part_missing(column: str, value: str) -> None:
    row = {
        "subject_kind": "candidate",
        "subject_id": "c",
        "content_sha256": "0" * 64,
        "decision": "approved",
        "rules": json.dumps([LATE]),
        "decided_by": PERSON,
        "reason": REASON,
        "via": "cli",
        "account": "lan",
    }
    names = ", ".join(row)
    statement = f"insert into audit.approval ({names}) values ({', '.join(['%s'] * len(row))})"
    with connect(Role.PUBLISHER) as connection:
        connection.execute(statement, list(row.values()))
        connection.rollback()
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(statement, list((row | {column: value}).values()))
        connection.rollback()


def test_the_loader_reads_approvals_and_cannot_give_one() -> None:
    with connect(Role.LOADER) as connection:
        connection.execute("select * from audit.approval")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("insert into audit.approval default values")
        connection.rollback()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("update audit.approval set decided_by = 'Trần Văn Bình'", "was changed"),
        ("update audit.approval set decision = 'rejected'", "was changed"),
        ("delete from audit.approval", "is gone"),
    ],
)
def test_a_changed_or_deleted_approval_is_found(change: str, found: str) -> None:
    candidate_id = waiting_candidate("tampered")
    decide(candidate_id, is_rejection=False)
    assert verify() == []
    with connect(Role.ADMIN) as connection:
        connection.execute("alter table audit.approval disable trigger append_only")
        connection.execute(f"{change} where subject_id = %s", (candidate_id,))
        findings = [finding.what for finding in audit.verify(connection)]
        connection.rollback()
    assert len(findings) == 1 and found in findings[0]


@pytest.mark.parametrize("change", ["insert", "widen"])
def test_an_approval_that_the_chain_does_not_vouch_for_lets_nothing_through(change: str) -> None:
    candidate_id = waiting_candidate(f"forged-{change}")
    decide(candidate_id)
    with connect(Role.ADMIN) as connection:
        if change == "insert":  # a copy for another candidate, without an event
            other = waiting_candidate("forged-other", (LATE, OTHER))
            ((content,),) = rows(
                "select payload ->> 'content_sha256' from audit.event where kind = %s"
                " and payload ->> 'candidate_id' = %s",
                audit.GATE_WAITING,
                other,
            )
            connection.execute(
                "insert into audit.approval (subject_kind, subject_id, content_sha256, decision,"
                " rules, decided_by, reason, via, account) values ('candidate', %s, %s, 'approved',"
                " %s, %s, %s, 'cli', 'x')",
                (other, content, json.dumps([LATE, OTHER]), PERSON, REASON),
            )
            candidate_id = other
        else:  # what was approved is made to cover a second warning
            judge_candidate(candidate_id, audit.GATE_WAITING, warnings=[LATE, OTHER])
            connection.execute("alter table audit.approval disable trigger append_only")
            connection.execute(
                "update audit.approval set rules = %s where subject_id = %s",
                (json.dumps([LATE, OTHER]), candidate_id),
            )
            connection.execute("alter table audit.approval enable always trigger append_only")
    with pytest.raises(PublishError, match="waits for an approval"):
        publish(candidate_id)
    assert len(verify()) == 1
    with connect(Role.ADMIN) as connection:  # for the other tests of this trail
        connection.execute("alter table audit.approval disable trigger append_only")
        connection.execute(
            "update audit.approval set rules = %s where subject_id = %s",
            (json.dumps([LATE]), candidate_id),
        )
        if change == "insert":
            connection.execute("delete from audit.approval where subject_id = %s", (candidate_id,))
        connection.execute("alter table audit.approval enable always trigger append_only")


# --- what the gate says ---------------------------------------------------------------------------


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Puts one rule of a given severity in the place of all release suites."""

    def put(severity: str, query: str) -> None:
        meta = {
            "id": "kpi_value.for_test",
            "version": 3,
            "kind": "release",
            "dimension": "validity",
            "owner": "nq42",
            "origin": "this test",
            "description_vi": "Một giá trị khác mười",
            "description_en": "A value differs from ten",
        }
        rule = {
            "type": "unexpected_rows_expectation",
            "kwargs": {"unexpected_rows_query": query},
            "severity": severity,
            "meta": meta,
        }
        path = tmp_path / "fct_kpi_value.json"
        path.write_text(json.dumps({"name": "fct_kpi_value", "expectations": [rule]}), "utf-8")
        monkeypatch.setattr(release_gate, "suite_files", lambda _: [path])
        monkeypatch.setattr(release_gate, "get_suite", lambda _kind, _name: read_suite(path))

    yield put


FAILS = "select unit_code, value from {batch} where value = 10"


@pytest.mark.parametrize(
    ("severity", "query", "status"),
    [
        ("info", FAILS, "accepted"),
        ("warning", "select * from {batch} where value = 11", "accepted"),
        ("warning", FAILS, "waiting"),
        ("critical", FAILS, "held"),
        ("warning", "select no_such_column from {batch}", "held"),
    ],
)
def test_the_gate_s_word_follows_severity(
    suite: Any, severity: str, query: str, status: str
) -> None:
    suite(severity, query)
    make_candidate("2025-06-judged", [{"unit_code": "j"}], passed=False)
    assert gate_release("2025-06-judged").status == status
    expected = [status == "waiting"] * (status == "waiting")
    assert [w.subject_id == "2025-06-judged" for w in list_waiting()] == expected


def test_what_the_gate_found_is_what_is_approved(suite: Any) -> None:
    suite("warning", FAILS)
    found = "unit_code=w, value=10"
    make_candidate("2025-06-whole", [{"unit_code": "w"}], passed=False)
    result = gate_release("2025-06-whole")
    assert result.reason == f"rule kpi_value.for_test: A value differs from ten (found {found})"
    shown = nq42("approve").stdout
    for text in ("2025-06-whole", f"kpi_value.for_test v3 ({found})", "khác mười", "differs from"):
        assert text in shown
    asked = ("approve", "2025-06-whole", "--by", PERSON)
    assert "the reason has 0 characters" in nq42(*asked, expected=1).stderr
    assert "waits for an approval" in nq42("publish", "2025-06-whole", expected=1).stderr
    assert '"recorded"' in nq42(*asked, "--reason", REASON).stdout
    assert rows(
        "select rules -> 0 ->> 'rule_version', rules -> 0 ->> 'description_vi', via"
        " from audit.approval where subject_id = '2025-06-whole'"
    ) == [("3", "Một giá trị khác mười", "cli")]
    assert publish("2025-06-whole").status == "published"
    assert "Nothing waits" in nq42("approve").stdout


def nq42(*arguments: str, expected: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "loaders.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == expected, done.stderr
    return done
