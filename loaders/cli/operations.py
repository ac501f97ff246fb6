"""`nq42 doctor`, `status`, `backup`, `restore`: keeping an installation going."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from loaders.cli.common import console, errors, plain_errors
from loaders.settings import get_settings

if TYPE_CHECKING:
    from loaders.operations.status import DatasetStatus, Status

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
CHECK_STYLES = {"ok": "green", "warning": "yellow", "error": "red"}
CHECK_WORDS = {"ok": "tốt / ok", "warning": "cảnh báo / warning", "error": "lỗi / error"}
STATES = {
    "accepted": "[green]đã nhận / accepted[/]",
    "held": "[red]bị giữ / held[/]",
    "refused": "[red]bị từ chối / refused[/]",
    "awaited": "[yellow]đang chờ / awaited[/]",
    "late": "[red]quá hạn / late[/]",
    "given_up": "[red]hết hạn chờ / given up[/]",
    "missing": "[yellow]thiếu / missing[/]",
    "landed": "[yellow]chưa nạp / landed[/]",
    "loaded": "[yellow]chưa xét / loaded[/]",
    "not_asked": "chưa hỏi / not asked",
}


def doctor(as_json: AsJson = False) -> None:
    """Look whether everything is in place, with a fix for what is not; exit 1 on an error."""
    from loaders.operations.doctor import examine

    with plain_errors():
        checks = examine(get_settings())
    if as_json:
        _print_json([asdict(check) for check in checks])
    else:
        for check in checks:
            style = CHECK_STYLES[check.status]
            console.print(f"[{style}]{CHECK_WORDS[check.status]:<18}[/] {check.name}", end="  ")
            console.print(check.found, markup=False, highlight=False, soft_wrap=True)
            if check.fix:
                console.print(f"    → {check.fix}", markup=False, highlight=False, soft_wrap=True)
    if any(check.status == "error" for check in checks):
        raise typer.Exit(1)


def status(
    month: Annotated[
        str | None, typer.Option(help="YYYY-MM; without it, the latest month on record.")
    ] = None,
    as_json: AsJson = False,
    width: Annotated[int, typer.Option(help="Columns of the table; 0 takes the terminal.")] = 0,
) -> None:
    """Show what arrived, what is late or held, what waits for approval, what was published."""
    from loaders.operations.status import read_status

    with plain_errors():
        found = read_status(month)
    if as_json:
        _print_json(asdict(found))
    else:
        _show(found, Console(width=width) if width else console)


def _show(found: Status, to: Console) -> None:
    table = Table(title=f"Tháng / month {found.month}", title_justify="left")
    for heading, is_number in (
        ("Bộ dữ liệu / dataset", False),
        ("Kỳ / period", False),
        ("Hạn / due", False),
        ("Nhận / received", False),
        ("Trễ / late (d)", True),
        ("Trạng thái / state", False),
        ("Dòng / rows", True),
        ("Cách ly / quarantined", True),
        ("Kỳ sau / next due", False),
    ):
        table.add_column(heading, justify="right" if is_number else "left")
    due = [each for each in found.datasets if each.period]
    for title, datasets in groupby(due, key=lambda each: each.source_title_vi):
        table.add_section()
        table.add_row(f"[bold]{escape(title)}[/]")
        for each in datasets:
            table.add_row(*_row(each))
    to.print(table)
    _plain(to, f"chưa đến kỳ / not due: {len(found.datasets) - len(due)}")
    for each in found.datasets:
        if each.advice:
            text = f"{each.source} {each.dataset} {each.period}: {each.state}"
            _plain(to, f"{text}. {each.reason or ''}\n  → {each.advice}")
    for question in found.waiting:
        _plain(to, f"chờ phê duyệt / waits for approval: {question.subject_id}\n  → nq42 approve")
    if found.release is None:
        _plain(to, "chưa có bản phát hành / no release yet")
    else:
        at = f"{found.release['published_at']:%Y-%m-%d %H:%M} UTC"
        shown = f"{found.release['release_id']}, {found.release['period']}, {at}"
        _plain(to, f"bản phát hành gần nhất / last release: {shown}")


def _row(each: DatasetStatus) -> list[str]:
    return [
        escape(f"  {each.title_vi}"),
        each.period or "",
        str(each.expected_on or ""),
        str(each.received_on or ""),
        str(each.days_late or ""),
        STATES[each.state],
        _number(each.rows_loaded),
        _number(each.rows_quarantined),
        f"{each.next_period}: {each.next_due_on}" if each.next_period else "",
    ]


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}".replace(",", ".")


def _plain(to: Console, text: str) -> None:
    to.print(text, markup=False, highlight=False, soft_wrap=True)


def _print_json(document: object) -> None:
    console.print_json(json.dumps(document, ensure_ascii=False, default=str))


def backup(
    folder: Annotated[Path, typer.Argument(help="New folder; it will hold identities.")],
) -> None:
    """Write warehouse and landing store, as they are at one moment, into a folder."""
    from loaders.operations.backup import back_up
    from loaders.operations.manifest import DUMP

    with plain_errors():
        made = back_up(folder)
    landed = sum(file.path != DUMP for file in made.files)
    size = sum(file.size_bytes for file in made.files) / 2**20
    _plain(console, f"{folder}: {landed} landed files, {size:,.1f} MiB, head {made.chain_head}")
    for line in (
        "KHÔNG có khoá định danh trong bản sao lưu: giữ riêng một bản của NQ42_PSEUDONYM_KEY. / "
        "The pseudonym key is NOT in the backup: keep a copy of NQ42_PSEUDONYM_KEY apart from it.",
        "Bản sao lưu có dữ liệu cá nhân: chỉ người có trách nhiệm được đọc, xoá khi hết hạn lưu. / "
        "The backup holds identities: for the responsible only, delete it when retention ends.",
    ):
        console.print(line, style="bold yellow", highlight=False, soft_wrap=True)
    for path in made.lacking:
        _plain(errors, f"landing {path} is gone or changed: not in the backup (nq42 audit verify)")
    if made.lacking:
        raise typer.Exit(1)


def restore(
    folder: Annotated[Path, typer.Argument(help="Folder that `nq42 backup` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of a warehouse that is there.")
    ] = False,
) -> None:
    """Bring a backup back into an empty warehouse, checked, whole or not at all."""
    from loaders.operations.restore import restore as bring_back

    with plain_errors():
        held = bring_back(folder, replace=replace)
    release = held.release_id or "chưa có / none"
    _plain(console, f"restored as of {held.created_at}, release {release}, head {held.chain_head}")
    _plain(console, "Kiểm tra tiếp / check it: nq42 audit verify, nq42 doctor")


def add_operations(app: typer.Typer) -> None:
    """The commands as verbs of `nq42`."""
    for command in (doctor, status, backup, restore):
        app.command()(command)
