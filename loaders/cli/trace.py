"""`nq42 audit trace`: from a published figure to files and rows."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from loaders.cli.common import console, errors, plain_errors
from loaders.periods import TIMEZONE

if TYPE_CHECKING:
    from loaders.trace import File, Trace

SHOWN_RANGES = 12
COLUMNS = ("part", "source", "dataset", "period", "file_name", "sha256", "row_number")
PARTS = {
    "numerator": "Tử số / Numerator",
    "denominator": "Mẫu số / Denominator",
    "final": "Giá trị cơ quan cung cấp / Value as delivered",
}


def add_trace(audit_app: typer.Typer) -> None:
    """Add the command to `nq42 audit`."""
    audit_app.command("trace")(audit_trace)


def audit_trace(
    kpi: Annotated[str, typer.Argument(help="KPI, such as health_insurance_coverage.")],
    unit: Annotated[str, typer.Argument(help="Unit code, or a boundary such as qn_programme.")],
    period: Annotated[str, typer.Argument(help="2025-07, 2025-Q2 or 2025.")],
    breakdown: Annotated[str, typer.Option(help="Such as sex=female.")] = "total=total",
    boundary: Annotated[str | None, typer.Option(help="qn_programme or qn_current.")] = None,
    series: Annotated[str | None, typer.Option(help="Of a KPI that has several.")] = None,
    release: Annotated[str | None, typer.Option(help="Instead of the newest release.")] = None,
    rows: Annotated[Path | None, typer.Option(help="New CSV file: every file and row.")] = None,
    show_protected: Annotated[
        bool, typer.Option(help="Also the rows of a cell that is hidden for protection.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="All of it as JSON.")] = False,
) -> None:
    """From one published figure to its files and row numbers; exit 2 when they do not add up."""
    from loaders import trace as room

    with plain_errors():
        name, separator, value = breakdown.partition("=")
        if not separator:
            raise ValueError(f"--breakdown {breakdown}: write it as name=value, such as sex=female")
        if rows is not None and rows.exists():
            raise ValueError(f"{rows} is there already: name a new file")
        query = room.Query(kpi, unit, period, boundary, series, name, value, release)
        found = room.trace(query, show_protected=show_protected)
    if as_json:
        print(json.dumps(found.to_dict(), ensure_ascii=False, default=str, indent=1))
    else:
        _show(found)
    if rows is not None:
        _write_rows(found, rows)
    if not found.is_whole:
        errors.print(
            "the rows in raw do not add up to the published figure: raw has changed since the "
            "release (see the batches above), or the trail is broken: nq42 audit verify",
            soft_wrap=True,
        )
        raise typer.Exit(2)


def _show(found: Trace) -> None:
    from loaders.report import words

    cell, kpi, release = found.cell, found.kpi, found.release
    head = Table.grid(Column(style="bold"), Column(overflow="fold"), padding=(0, 2))
    of = (
        cell["breakdown"]
        if cell["breakdown"] == "total"
        else (f"{cell['breakdown']}={cell['breakdown_value']}")
    )
    figure = (
        "ẩn để bảo mật / hidden for protection"
        if cell["is_suppressed"]
        else words.number(cell["value"], kpi.get("decimals") or 0)
    )
    lines = {
        "Chỉ tiêu / KPI": f"{kpi.get('name_vi')} / {kpi.get('name_en')}",
        "Cách tính / Definition": f"{kpi.get('definition_vi')} / {kpi.get('definition_en')}"
        f" ({kpi.get('definition_standing')}; {kpi.get('legal_reference') or '–'})",
        "Số công bố / Published": f"{figure} {kpi.get('unit_vi') or ''}"
        f" · {cell['unit_code']} ({cell['boundary']}) · {cell['period']} · {cell['series']}, {of}",
        "Bản công bố / Release": release["release_id"]
        + f" · {release['published_at'].astimezone(TIMEZONE):%Y-%m-%d %H:%M}",
        "Mẫu số gốc / Denominator": f"{cell['denominator_id']}, {cell['denominator_vintage']}",
    }
    if found.verdict:
        lines["Đánh giá / Verdict"] = (
            f"{found.verdict['verdict']} · {found.verdict['operator']} "
            f"{found.verdict['target_value']} ({found.verdict['target_year']})"
        )
    for label, text in lines.items():
        head.add_row(label, str(text))
    console.print(head, highlight=False)
    if found.is_withheld:
        console.print(
            "Số dòng của ô này không được liệt kê / The rows of this cell are not listed: "
            "--show-protected",
            highlight=False,
        )
        return
    parts = Table("", Column("công bố / published", justify="right"),
                  Column("cộng lại / added up", justify="right"), "")  # fmt: skip
    for part in found.parts:
        sign = "=" if part.is_whole else "≠"
        parts.add_row(PARTS[part.name], _digits(part.published), _digits(part.traced), sign)
    console.print(parts)
    for file in found.files:
        _show_file(file)


def _digits(amount: Decimal | None) -> str:
    """All digits: what is compared."""
    return f"{(amount or Decimal(0)).normalize():f}"


def _show_file(file: File) -> None:
    from loaders.trace import ranges

    purged = " (đã xoá theo hạn lưu / purged)" if file.is_purged else ""
    other = "" if file.is_of_release else " · thay sau khi công bố / replaced since the release"
    console.print(
        f"\n[bold]{file.file_name}[/bold]  {file.source}.{file.dataset} {file.period}{other}\n"
        f"  sha256 {file.sha256}{purged}\n"
        f"  batch {file.batch_id} · {file.data_label}, {file.maturity} · "
        f"contract {file.contract_version}\n"
        f"  nạp / loaded {file.rows_loaded:,} · cách ly / quarantined {file.rows_quarantined:,} · "
        f"quy tắc / rules {file.rules_run}, không đạt / failed {file.rules_failed}",
        highlight=False,
        soft_wrap=True,
    )
    if file.admitted:
        console.print(f"  {file.admitted}", highlight=False, soft_wrap=True, markup=False)
    for part, numbers in file.rows.items():
        found = [f"{a}" if a == b else f"{a}–{b}" for a, b in ranges(numbers)]
        more = f" … (+{len(found) - SHOWN_RANGES}; --rows)" if len(found) > SHOWN_RANGES else ""
        console.print(
            f"  {PARTS[part]}: {len(numbers):,} dòng / rows: "
            f"{', '.join(found[:SHOWN_RANGES])}{more}",
            highlight=False,
            soft_wrap=True,
        )


def _write_rows(found: Trace, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for file in found.files:
            head = (file.source, file.dataset, file.period, file.file_name, file.sha256)
            for part, numbers in file.rows.items():
                writer.writerows((part, *head, number) for number in numbers)
    console.print(str(path), highlight=False, soft_wrap=True)
