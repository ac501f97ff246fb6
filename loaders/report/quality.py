"""The quality report's blocks by data label: timeliness, volumes, rules, quarantine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from loaders.report import charts, words
from loaders.report.data import ReleaseView
from loaders.report.decisions import title_of
from loaders.report.figures import Block, grouped, rank
from loaders.report.quality_data import Row

#: Label of what has no file and so no data label.
NO_FILE = "none"
NO_LIMIT = (None, "", "{}")
#: Periods of a dataset that a chart of volumes shows.
BARS = 13
#: Months of which every batch is listed; older ones are in audit.quality_volumes.
LISTED_MONTHS = 13


class QualityPage:
    """What the trail says, by data label and source, ready to be printed."""

    def __init__(self, view: ReleaseView) -> None:
        self.view, self.quality = view, view.quality
        self.volumes = {_key(row): row for row in self.quality.volumes}
        self.rules_of = grouped(
            [row for row in self.quality.rules if row["subject_kind"] == "batch"], "subject_id"
        )

    listed_months = LISTED_MONTHS

    def labels(self) -> list[str]:
        found = {_label(row) for row in self.quality.timeliness}
        return [label for label in (*words.LABELS, NO_FILE) if label in found]

    def rows(self, label: str) -> list[Row]:
        return [row for row in self.quality.timeliness if _label(row) == label]

    def totals(self, label: str) -> Block:
        """Batches, rows and rules by what became of them."""
        rows = self.rows(label)
        accepted = [self.volumes[_key(row)] for row in rows if row["status"] == "accepted"]
        rules = self.rules(label)
        read = sum(row["rows_read"] or 0 for row in accepted)
        quarantined = sum(row["rows_quarantined"] or 0 for row in accepted)
        return {
            "batches": words.number(len(rows)),
            "accepted": words.number(len(accepted)),
            "open": words.number(len(rows) - len(accepted)),
            "has_open": len(rows) > len(accepted),
            "late": words.number(sum(bool(row["days_late"]) for row in rows)),
            "has_late": any(row["days_late"] for row in rows),
            "read": words.number(read),
            "loaded": words.number(sum(row["rows_loaded"] or 0 for row in accepted)),
            "quarantined": words.number(quarantined),
            "quarantined_pct": _percent(quarantined, read),
            "rules_run": words.number(len(rules)),
            "rules_failed": words.number(sum(row["result"] != "pass" for row in rules)),
        }

    # --- by source ----------------------------------------------------------------------------

    def sources(self, label: str) -> list[Block]:
        """Each source with its datasets: the latest period, and what came before."""
        blocks = []
        for (source,), rows in sorted(grouped(self.rows(label), "source").items()):
            received = [row for row in rows if row["is_received"]]
            in_time = sum(row["is_on_time"] is True for row in received)
            vi, en = self.quality.sources.get(source, (source, source))
            blocks.append(
                {
                    "text": words.Text(vi, en),
                    "received": f"{words.number(len(received))} / {words.number(len(rows))}",
                    "in_time_pct": _percent(in_time, len(received)),
                    "datasets": [
                        self._dataset(members)
                        for _, members in sorted(grouped(rows, "dataset").items())
                    ],
                }
            )
        return blocks

    def _dataset(self, rows: Sequence[Row]) -> Block:
        """The latest period of a dataset, its bars of rows and its share in quarantine."""
        in_time = sorted(rows, key=lambda row: row["ends_on"])
        volumes = [self.volumes[_key(row)] for row in in_time]
        counted = [row for row in volumes if row["rows_read"] is not None][-BARS:]
        latest = self._batch(in_time[-1])
        bars = [
            (row["rows_read"] - row["rows_quarantined"], row["rows_quarantined"])
            if row["rows_quarantined"] is not None
            else (row["rows_read"], 0)
            for row in counted
        ]
        told = "; ".join(
            f"{words.period(row['period'])}: {words.number(row['rows_read'])} dòng, "
            f"cách ly {words.number(row['rows_quarantined'])}"
            for row in counted
        )
        change, share = volumes[-1]["change_pct"], volumes[-1]["quarantined_pct"]
        return {
            **latest,
            "bars": {"drawing": charts.bars(bars), "text": f"Số dòng mỗi kỳ: {told}."},
            "change": _signed(change),
            "share": words.number(share, 4 if share and share < Decimal("0.005") else 2),
            "trend": _trend(
                [(row["ends_on"], row["quarantined_pct"]) for row in volumes],
                "Tỷ lệ cách ly, %",
                2,
            ),
        }

    def batches(self, label: str) -> list[Block]:
        """Every batch of the last months, the newest first."""
        rows = self.rows(label)
        months = sorted({f"{row['ends_on']:%Y-%m}" for row in rows})[-LISTED_MONTHS:]
        return [self._batch(row) for row in rows if f"{row['ends_on']:%Y-%m}" in months]

    def not_taken(self, label: str) -> list[Block]:
        """Held, refused and missing batches, which need somebody."""
        return [self._batch(row) for row in self.rows(label) if row["status"] != "accepted"]

    def _batch(self, row: Row) -> Block:
        volume = self.volumes[_key(row)]
        rules = self.rules_of.get((row["batch_id"],), [])
        is_served = row["status"] != "accepted" and row["served_batch_id"] is not None
        return {
            "source": row["source"],
            "dataset": row["dataset"],
            "title": self._title(row),
            "period": words.period(row["period"]),
            "file_name": row["file_name"] or words.NOTHING,
            "sha256": volume["sha256"],
            "read": words.number(volume["rows_read"]),
            "loaded": words.number(volume["rows_loaded"]),
            "quarantined": words.number(volume["rows_quarantined"]),
            "is_whole": volume["is_whole"],
            "is_accepted": row["status"] == "accepted",
            "status": words.verdict_of(words.STATUSES, row["status"]),
            "received": words.moment(row["received_at"]),
            "expected": words.day(row["expected_on"]),
            "days_late": row["days_late"],
            "maturity": words.text_of(words.MATURITIES, row["maturity"]),
            "rules_run": words.number(len(rules)),
            "rules_failed": words.number(sum(rule["result"] != "pass" for rule in rules)),
            "reason": row["reason"],
            "served_period": words.period(row["served_period"]) if is_served else None,
            "served_batch_id": row["served_batch_id"] if is_served else None,
            "served_age": words.number(row["served_age_days"]) if is_served else None,
        }

    def trends(self, label: str) -> list[Block]:
        """A few figures of the whole label by month, as small line charts."""
        months = sorted(grouped(self.rows(label), "ends_on").items())
        late, share, failed = [], [], []
        for (ends_on,), rows in months:
            days = [row["days_late"] for row in rows if row["days_late"] is not None]
            late.append((ends_on, Decimal(sum(days)) / len(days) if days else None))
            volumes = [self.volumes[_key(row)] for row in rows]
            read = sum(row["rows_read"] or 0 for row in volumes)
            quarantined = sum(row["rows_quarantined"] or 0 for row in volumes)
            share.append((ends_on, Decimal(100 * quarantined) / read if read else None))
            rules = [rule for row in rows for rule in self.rules_of.get((row["batch_id"],), [])]
            wrong = sum(rule["result"] != "pass" for rule in rules)
            failed.append((ends_on, Decimal(100 * wrong) / len(rules) if rules else None))
        texts = (
            (words.Text("Trễ trung bình, ngày", "Mean days late"), late, 1),
            (words.Text("Tỷ lệ dòng cách ly, %", "Rows in quarantine, %"), share, 3),
            (words.Text("Tỷ lệ quy tắc không đạt, %", "Rules failed, %"), failed, 2),
        )
        return [
            {
                "text": text,
                "trend": trend,
                "latest": words.number(next(v for _, v in reversed(of) if v is not None), decimals),
            }
            for text, of, decimals in texts
            if (trend := _trend(of, text.vi, decimals))
        ]

    # --- rules and quarantine -----------------------------------------------------------------

    def rules(self, label: str) -> list[Row]:
        return [
            row
            for row in self.quality.rules
            if row["subject_kind"] == "batch" and _label(row) == label
        ]

    def candidate_rules(self) -> list[Row]:
        return [row for row in self.quality.rules if row["subject_kind"] == "candidate"]

    def rule_matrix(self, rules: Sequence[Row]) -> list[Block]:
        """Rules run and failed by dimension and severity."""
        cells = grouped(rules, "dimension", "severity")
        dimensions = sorted(
            {key[0] for key in cells}, key=lambda d: rank(words.DIMENSIONS, d or "")
        )
        lines = []
        for dimension in dimensions:
            counts = []
            for severity in words.SEVERITIES:
                found = cells.get((dimension, severity), [])
                failed = sum(row["result"] != "pass" for row in found)
                counts.append((words.number(len(found)), words.number(failed), failed > 0))
            lines.append({"text": words.text_of(words.DIMENSIONS, dimension), "counts": counts})
        return lines

    def failed_rules(self, rules: Sequence[Row]) -> list[Block]:
        """Rules that did not pass, once for each dataset, with the figures of the last month."""
        failed = [row for row in rules if row["result"] != "pass"]
        lines = []
        for members in grouped(failed, "source", "dataset", "suite", "rule_id").values():
            last = max(members, key=lambda row: row["ends_on"])
            lines.append(
                {
                    "title": self._title(last) if last["source"] else None,
                    "rule_id": last["rule_id"],
                    "version": last["rule_version"],
                    "text": words.Text(last["description_vi"] or "", last["description_en"] or ""),
                    "severity": words.text_of(words.SEVERITIES, last["severity"]),
                    "result": words.verdict_of(words.RULE_RESULTS, last["result"]),
                    "failing": words.number(last["rows_failing"]),
                    "scanned": words.number(last["rows_scanned"]),
                    "observed": _observed(last),
                    # A rule written as a query has no limit beside it.
                    "expected": words.NOTHING if last["expected"] in NO_LIMIT else last["expected"],
                    "owner": last["owner"],
                    "period": words.period(last["period"]),
                    "months": words.number(len({row["period"] for row in members})),
                }
            )
        return lines

    def quarantine(self, label: str) -> list[Block]:
        """Why rows are in quarantine, how many in the release month and in all, with examples."""
        rows = [row for row in self.quality.quarantine if _label(row) == label]
        as_of = self.view.note["as_of_period"]
        lines = []
        for members in grouped(
            rows, "source", "dataset", "rule_id", "column_name", "reason_vi"
        ).values():
            last = max(members, key=lambda row: row["ends_on"])
            lines.append(
                {
                    "title": self._title(last),
                    "rule_id": last["rule_id"],
                    "version": last["rule_version"],
                    "column": last["column_name"],
                    "severity": words.text_of(words.SEVERITIES, last["severity"]),
                    "reason": words.Text(last["reason_vi"], last["reason_en"]),
                    "month_findings": words.number(
                        sum(row["findings"] for row in members if row["period"] == as_of)
                    ),
                    "findings": words.number(sum(row["findings"] for row in members)),
                    "last": words.period(last["period"]),
                    "file_name": last["file_name"],
                    "examples": [
                        {
                            "row": words.number(example["row_number"]),
                            "sheet": example["sheet"],
                            "value": example["value"],
                        }
                        for example in last["examples"]
                    ],
                }
            )
        return lines

    def _title(self, row: Row) -> words.Text:
        return title_of(self.quality, row)


def _key(row: Row) -> tuple[str, str, str]:
    return (row["source"], row["dataset"], row["period"])


def _label(row: Row) -> str:
    return row["data_label"] or NO_FILE


def _observed(row: Row) -> str:
    """What a rule observed, unless that is only the number of failing rows, which stands beside."""
    if row["observed"] in (None, "", f"{row['rows_failing']} rows"):
        return words.NOTHING
    return row["observed"]


def _percent(part: int, whole: int) -> str:
    if not whole:
        return words.NOTHING
    share = Decimal(100 * part) / whole
    # A small share is not none.
    decimals = 3 if 0 < share < Decimal("0.05") else 1
    return f"{words.number(share, decimals)}{words.NBSP}%"


def _signed(percent: Decimal | None) -> str:
    if percent is None:
        return words.NOTHING
    return f"{'+' if percent > 0 else ''}{words.number(percent, 1)}{words.NBSP}%"


def _trend(of: Iterable[tuple[Any, Any]], name: str, decimals: int) -> Block | None:
    """A line through (day, value); None when there are no two values."""
    shown = [(day, value) for day, value in of if value is not None]
    if len(shown) < 2:
        return None
    drawing = charts.sparkline([(day.toordinal(), value) for day, value in shown])
    told = "; ".join(f"{day:%m/%Y}: {words.number(value, decimals)}" for day, value in shown)
    return {"drawing": drawing, "text": f"{name}: {told}."}
