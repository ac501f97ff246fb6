"""The scorecard in the terminal: the label first, then the KPIs by group."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loaders.report import words
from loaders.report.data import ReleaseView
from loaders.report.figures import Block, Figures
from loaders.report.summary import Scorecard

STYLES = {"good": "green", "fair": "cyan", "weak": "yellow", "bad": "red", "none": "dim"}


def print_scorecard(view: ReleaseView, console: Console) -> None:
    """Print the scorecard: real and sample figures apart, then the KPIs without figures.

    Everything from the database is printed as plain text: square brackets are no markup.
    """
    pages = Scorecard(Figures(view))
    if view.has_sample:
        console.print(Text(words.SAMPLE_LINE, style="bold black on yellow"))
    release = view.release_id or f"{view.note['candidate_id']} (dự thảo / draft)"
    as_of = words.period(view.note["as_of_period"])
    console.print(Text(f"Bản phát hành / Release {release} · {as_of}", style="bold"))
    if view.release:
        console.print(Text(f"Đầu chuỗi kiểm toán / Chain head {view.release['chain_head']}"))
    for label in view.labels:
        groups = pages.scorecard(label)
        if groups:
            console.print()
            console.print(_heading(words.LABELS[label]))
            console.print(_figures(groups))
    missing = pages.without_figures()
    if missing:
        console.print()
        console.print(
            _heading(words.Text("Chưa có số liệu của tỉnh", "No figures of the province"))
        )
        console.print(_without_figures(missing))


def print_register(view: ReleaseView, console: Console) -> None:
    """Print the whole register: each KPI once per label and boundary, whatever its state.

    A KPI without figures has one line that says why; nothing stands in for a missing value.
    """
    table = _table(
        ("Mã", {"no_wrap": True}),
        ("Chỉ tiêu", {"ratio": 3}),
        ("Tình trạng", {"no_wrap": True}),
        ("Định nghĩa", {"no_wrap": True}),
        ("Nguồn", {"ratio": 2}),
        ("Địa giới", {"no_wrap": True}),
        ("Giá trị", {"no_wrap": True, "justify": "right"}),
        ("Kỳ", {"no_wrap": True}),
        ("Mục tiêu", {"no_wrap": True}),
        ("Kết luận", {"no_wrap": True}),
    )
    pages = Scorecard(Figures(view))
    by_kpi = {}
    for label in view.labels:
        for group in pages.scorecard(label):
            for entry in group["entries"]:
                by_kpi.setdefault(entry["kpi_id"], []).append(entry)
    for group in pages.without_figures():
        for entry in group["entries"]:
            by_kpi.setdefault(entry["kpi_id"], []).append(entry)
    for kpi in view.kpis:
        for entry in by_kpi[kpi["kpi_id"]]:
            for line in entry.get("lines") or [None]:
                verdict = line["verdict"] if line else words.VERDICTS["not_available"]
                table.add_row(
                    Text(kpi["kpi_id"]),
                    Text(entry["name"].vi),
                    Text(entry["state"].vi),
                    Text(entry["standing"].vi),
                    Text(kpi["source_owner_vi"] or words.NOTHING),
                    Text(line["boundary"].vi if line else words.NOTHING),
                    Text(_shown_value(line)),
                    Text(line["period"] if line else words.NOTHING),
                    Text(entry["target"]),
                    Text(f"{verdict.sign} {verdict.vi}", style=STYLES[verdict.tone]),
                )
    console.print(table)
    counts = ", ".join(f"{count} {text.vi} / {text.en}" for text, count in pages.state_counts())
    console.print(Text(f"{len(view.kpis)} chỉ tiêu / KPIs: {counts}", style="bold"))


def _shown_value(line: Block | None) -> str:
    if line is None:
        return words.NOTHING
    return "bảo mật" if line["is_suppressed"] else str(line["value"])


def _heading(text: words.Text) -> Text:
    return Text(f"{text.vi} / {text.en}", style="bold")


def _table(*columns: tuple[str, dict]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name, options in columns:
        table.add_column(name, **options)
    return table


def _group_row(table: Table, text: words.Text) -> None:
    table.add_row(Text(text.vi.upper(), style="bold dim"))


def _figures(groups: list[Block]) -> Table:
    table = _table(
        ("Chỉ tiêu", {"ratio": 3}),
        ("Mục tiêu", {"no_wrap": True}),
        ("Địa giới", {"no_wrap": True}),
        ("Giá trị", {"no_wrap": True, "justify": "right"}),
        ("Kỳ", {"no_wrap": True}),
        ("Kết luận", {"ratio": 2}),
        ("Đường thẳng", {"ratio": 1}),
    )
    for group in groups:
        _group_row(table, group["text"])
        for entry in group["entries"]:
            for index, line in enumerate(entry["lines"]):
                verdict, straight = line["verdict"], line["straight_line"]
                flags = "".join(f"; {flag.vi}" for flag in line["flags"])
                table.add_row(
                    Text("" if index else entry["name"].vi),
                    Text("" if index else entry["target"]),
                    Text(line["boundary"].vi),
                    Text(_shown_value(line)),
                    Text(line["period"]),
                    Text(f"{verdict.sign} {verdict.vi}{flags}", style=STYLES[verdict.tone]),
                    Text(straight.vi, style=STYLES[straight.tone]),
                )
    return table


def _without_figures(groups: list[Block]) -> Table:
    table = _table(
        ("Chỉ tiêu", {"ratio": 3}), ("Mục tiêu", {"no_wrap": True}), ("Tình trạng", {"ratio": 1})
    )
    for group in groups:
        _group_row(table, group["text"])
        for entry in group["entries"]:
            table.add_row(Text(entry["name"].vi), Text(entry["target"]), Text(entry["state"].vi))
    return table
