"""What decides the demo's files, and whether just these are published already."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from loaders.contracts.model import CONTRACTS_DIR
from loaders.files import sha256_of
from loaders.periods import months_of
from loaders.settings import PROJECT_ROOT, Settings


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why."""


@dataclass(frozen=True)
class Inputs:
    """What decides the bytes of the sample files; `generator` is a hash over its code."""

    scale: float
    seed: int
    months: tuple[str, ...]
    generator: str


def generator_hash() -> str:
    digest = hashlib.sha256()
    code = [*(PROJECT_ROOT / "loaders" / "sample").rglob("*"), *CONTRACTS_DIR.glob("*.yaml")]
    for path in sorted(code):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.relative_to(PROJECT_ROOT).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _stamp(settings: Settings) -> Path:
    return settings.home / "demo.json"


def write_stamp(settings: Settings, inputs: Inputs) -> None:
    _stamp(settings).write_text(json.dumps(asdict(inputs), indent=1), encoding="utf-8")


def _read_stamp(settings: Settings) -> Inputs | None:
    path = _stamp(settings)
    if not path.exists():
        return None
    values = json.loads(path.read_text(encoding="utf-8"))
    return Inputs(**values | {"months": tuple(values["months"])})


def refuse_other_inputs(settings: Settings, inputs: Inputs) -> None:
    """Another sample would be a different file for a loaded month, which `land` refuses."""
    known = _read_stamp(settings)
    if known is None or known == inputs:
        return
    before, now = asdict(known), asdict(inputs)
    differs = ", ".join(name for name in now if before[name] != now[name])
    raise DemoError(
        f"{settings.home} holds a demo with another {differs}. Keep it and use another folder "
        "(NQ42_HOME=var/other), or stop everything with `make down` and delete that folder."
    )


def is_published(settings: Settings, inputs: Inputs) -> bool:
    """Every file in the inbox is in raw as it is, and the newest release stands on just that."""
    if _read_stamp(settings) != inputs:
        return False
    from loaders.postgres.database import Role, connect
    from loaders.stages.build import month_fingerprints

    with connect(Role.AUDITOR) as connection:
        accepted = {
            (source, period, sha256)
            for source, period, sha256 in connection.execute(
                "select a.source, a.period, r.sha256 from audit.batch_accepted as a"
                " inner join audit.receipt as r using (batch_id)"
            )
        }
        released = {
            period for (period,) in connection.execute("select period from publication.release")
        }
        built = dict(
            connection.execute(
                "select distinct on (period) period, fingerprint from audit.kpi_build"
                " order by period, id desc"
            ).fetchall()
        )
        wanted = month_fingerprints(connection, max(inputs.months))
    delivered = {
        (path.parts[-3], path.parts[-2], sha256_of(path))
        for path in settings.inbox.glob("*/*/*")
        if months_of(path.parts[-2])[1] in inputs.months
        and not path.name.endswith(".delivery.json")
    }
    return (
        bool(delivered)
        and delivered <= accepted
        and released >= set(inputs.months)
        and all(built.get(month) == value for month, value in wanted.items())
    )
