"""`nq42 doctor`, `status`, `backup`, `restore`: keeping an installation going."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from loaders.cli.common import console, plain_errors
from loaders.settings import get_settings

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
STATUS_STYLE = {"ok": "green", "warning": "yellow", "error": "red"}
STATUS_WORDS = {"ok": "tốt / ok", "warning": "cảnh báo / warning", "error": "lỗi / error"}


def doctor(as_json: AsJson = False) -> None:
    """Look whether everything is in place, with a fix for what is not; exit 1 on an error."""
    from loaders.operations.doctor import examine

    with plain_errors():
        checks = examine(get_settings())
    if as_json:
        console.print_json(json.dumps([asdict(check) for check in checks], ensure_ascii=False))
    else:
        for check in checks:
            style = STATUS_STYLE[check.status]
            console.print(f"[{style}]{STATUS_WORDS[check.status]:<18}[/] {check.name}", end="  ")
            console.print(check.found, markup=False, highlight=False, soft_wrap=True)
            if check.fix:
                console.print(f"    → {check.fix}", markup=False, highlight=False, soft_wrap=True)
    if any(check.status == "error" for check in checks):
        raise typer.Exit(1)


def add_operations(app: typer.Typer) -> None:
    """The commands as verbs of `nq42`."""
    for command in (doctor,):
        app.command()(command)
