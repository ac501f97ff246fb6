"""Why figures differ between two releases: what of their recorded inputs changed in between."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loaders.periods import months_of
from loaders.publication.lineage import all_parts

#: Every cause of a figure or verdict, in the order in which several are listed.
CAUSES = (
    "boundary",
    "disclosure_protection",
    "new_period",
    "target",
    "method",
    "deadline_passed",
    "denominator_vintage",
    "corrected_file",
    "restated_file",
    "rule_change",
    "new_data",
    "definition",
    "maturity",
    "caveat",
    "not_computed",
    "unexplained",
)
#: Stands for every month that has no reasons of its own, and for every KPI without lineage.
ANY_MONTH = ANY_KPI = "*"
Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class BatchChange:
    """A dataset's period whose rows are of another batch, or were judged by other rules."""

    dataset: str
    period: str
    causes: tuple[str, ...]
    evidence: str


@dataclass
class Reasons:
    """What may have changed the figures of a KPI, of one kind, in a month."""

    kpi_id: str
    kind: str
    month: str
    has_own_denominator: bool = True
    causes: set[str] = field(default_factory=set)
    evidence: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The row of the relation `reasons` in SQL."""
        return {
            "kpi_id": self.kpi_id,
            "kind": self.kind,
            "month": self.month,
            "has_own_denominator": self.has_own_denominator,
            "causes": sorted(self.causes, key=CAUSES.index),
            "evidence": "; ".join(self.evidence),
        }


def reasons_between(before: Manifest | None, after: Manifest) -> list[Reasons]:
    """By KPI, kind of figure and month what changed; a month without changes has no row.

    Args:
        before: the manifest of the earlier release; None when `after` is the first one.
    """
    kpis = {**(before or {}).get("lineage", {}).get("kpis", {})}
    kpis.update(after.get("lineage", {}).get("kpis", {}))
    changes = batch_changes(before["batches"] if before else (), after["batches"])
    of_dataset: dict[str, list[BatchChange]] = defaultdict(list)
    for change in changes:
        of_dataset[change.dataset].append(change)
    found = []
    if before is None:
        found.append(Reasons(ANY_KPI, "computed", ANY_MONTH, causes={"new_data"}))
    for kpi_id, kinds in kpis.items():
        for kind, of in kinds.items():
            everywhere = Reasons(
                kpi_id, kind, ANY_MONTH, has_own_denominator=of.get("has_own_denominator", False)
            )
            _add_code(everywhere, before, after)
            if kind == "delivered":
                _add_latest(everywhere, of["inputs"], before, after, of_dataset)
            found.append(everywhere)
            if kind == "computed":
                changed = [change for dataset in of["inputs"] for change in of_dataset[dataset]]
                found.extend(_by_month(everywhere, changed))
    return found


def batch_changes(before: Iterable[Manifest], after: Iterable[Manifest]) -> list[BatchChange]:
    """What became of each dataset's period between two lists of accepted batches."""

    def by_period(batches: Iterable[Manifest]) -> dict[tuple[str, str], Manifest]:
        return {(f"{b['source']}__{b['dataset']}", b["period"]): b for b in batches}

    old, found = by_period(before), []
    for (dataset, period), batch in by_period(after).items():
        earlier = old.get((dataset, period))
        causes = _causes_of(earlier, batch)
        if causes:
            evidence = _evidence(period, causes, earlier or {}, batch)
            found.append(BatchChange(dataset, period, causes, evidence))
    return found


# By what a file is read and judged.
RULES = ("suite_sha256", "contract_hash", "contract_rules_version")


def _causes_of(old: Manifest | None, new: Manifest) -> tuple[str, ...]:
    """Why the rows of a period are others than before; empty when they are the same rows."""
    if old is None:
        return ("new_data",)
    # A release from before rows had an id knows the batch only.
    if old.get("rows_id", old["batch_id"]) == new.get("rows_id", new["batch_id"]):
        return ()
    causes = []
    if old["sha256"] != new["sha256"]:
        causes.append("restated_file")
    elif old.get("corrections_sha256") != new.get("corrections_sha256"):
        causes.append("corrected_file")
    if not causes or any(name in old and old[name] != new.get(name) for name in RULES):
        causes.append("rule_change")
    return tuple(causes)


def _evidence(period: str, causes: tuple[str, ...], old: Manifest, new: Manifest) -> str:
    """One line: which file, and what it replaced."""

    def short(name: str, batch: Manifest = new) -> str:
        return str(batch.get(name) or "none")[:12]

    def was_is(name: str) -> str:
        return f"{short(name, old)} → {short(name)}"

    parts = []
    if "new_data" in causes:
        parts.append(f"first delivery, file sha256 {short('sha256')}")
    if "restated_file" in causes:
        parts.append(f"file sha256 {was_is('sha256')}")
        if new.get("restatement_reason"):
            parts.append(f"reason: {new['restatement_reason']}")
    if "corrected_file" in causes:
        parts.append(f"corrections sha256 {was_is('corrections_sha256')}")
    if "rule_change" in causes:
        rules = [f"{name} {was_is(name)}" for name in RULES if old.get(name) != new.get(name)]
        parts.append(f"judged by other rules: {', '.join(rules) or 'not recorded which'}")
    name = f"{new['source']}.{new['dataset']} {period} batch {new['batch_id']}"
    return f"{name}: {', '.join(parts)}"


def _add_code(reasons: Reasons, before: Manifest | None, after: Manifest) -> None:
    """Another definition, or for verdicts another target; the first release has neither."""
    if before is None:
        if reasons.kind != "verdict":
            reasons.causes.add("new_data")
        return
    if not all(manifest.get("lineage", {}).get("kpis") for manifest in (before, after)):
        return  # built before lineage was noted: nothing can be said of the code
    old = all_parts(before["lineage"], reasons.kpi_id, reasons.kind) or {}
    new = all_parts(after["lineage"], reasons.kpi_id, reasons.kind) or {}
    changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    if not changed:
        return
    targets = [name for name in changed if name.startswith("seed programme_target,")]
    code = [name for name in changed if name not in targets]
    if targets:
        reasons.causes.add("target")
        reasons.evidence.append("the KPI's targets changed")
    if not old or not new:
        reasons.causes.add("definition")
        reasons.evidence.append("first computed" if not old else "not computed any more")
    elif code:
        reasons.causes.add("definition")
        reasons.evidence.append("changed: " + ", ".join(code))


def _add_latest(
    reasons: Reasons,
    inputs: Iterable[str],
    before: Manifest | None,
    after: Manifest,
    of_dataset: Mapping[str, list[BatchChange]],
) -> None:
    """An agency's own figures of all periods come from its latest delivery."""
    for dataset in inputs:
        periods = [
            batch["period"]
            for batch in after["batches"]
            if f"{batch['source']}__{batch['dataset']}" == dataset
        ]
        latest = max(periods, key=lambda period: months_of(period)[1], default=None)
        for change in of_dataset[dataset]:
            if change.period == latest:
                reasons.causes.update(change.causes)
                reasons.evidence.append(change.evidence)


def _by_month(everywhere: Reasons, changes: Iterable[BatchChange]) -> list[Reasons]:
    """The reasons of each month that a changed batch belongs to, with those of all months."""
    months: dict[str, Reasons] = {}
    for change in changes:
        for month in _months_of_use(change.period):
            if month not in months:
                months[month] = Reasons(
                    everywhere.kpi_id,
                    everywhere.kind,
                    month,
                    everywhere.has_own_denominator,
                    set(everywhere.causes),
                    list(everywhere.evidence),
                )
            months[month].causes.update(change.causes)
            months[month].evidence.insert(0, change.evidence)
    return list(months.values())


def _months_of_use(period: str) -> list[str]:
    """The months that are computed from a batch: its last one; a year's until the next year's."""
    last = months_of(period)[1]
    if len(period) > 4:
        return [last]
    return [last, *(f"{int(period) + 1}-{month:02d}" for month in range(1, 12))]
