"""What every connector takes and gives: an order, a sink for the bytes, a delivery.

A connector writes the bytes into the sink, which lies in the landing store under a name of its own,
counts and hashes. Only `land` gives the file its place, and only after the connector has returned:
a download that ends early leaves nothing.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from loaders.periods import end_of, months_of, start_of
from loaders.settings import secret

SIDE_CAR_SUFFIX = ".delivery.json"
CORRECTIONS_SUFFIX = ".corrections.csv"
#: Files that belong to a delivery and are none themselves.
BESIDE = (SIDE_CAR_SUFFIX, CORRECTIONS_SUFFIX)
#: A note is a few lines; more than this is not a note.
SIDE_CAR_MAX_BYTES = 1024 * 1024
CHUNK_BYTES = 1024 * 1024
#: Names listed in a message at most.
NAMES_SHOWN = 10

Maturity = Literal["provisional", "final"]
DataLabel = Literal["real", "sample"]


class DeliveryError(ValueError):
    """A delivery that cannot be taken; the message names the file and what to do."""


class SourceUnavailable(DeliveryError):
    """Trouble on the way that may be gone at the next try.

    Args:
        retry_after: seconds after which the source wants to be asked again, where it says so.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Restatement(BaseModel):
    """A declaration that this file replaces the one loaded before, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    reason: str = Field(min_length=10)


class ControlTotals(BaseModel):
    """What the sender counted; a total that nothing would check is not taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    rows: int | None = Field(default=None, ge=0)


class DeliveryNote(BaseModel):
    """The side-car ``<file>.delivery.json``: what the sender says of the file.

    Without a side-car a delivery is real and provisional.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    data_label: DataLabel = "real"
    maturity: Maturity = "provisional"
    note: str = ""
    control_totals: ControlTotals = ControlTotals()
    restatement: Restatement | None = None

    def overlaid(self, other: DeliveryNote) -> DeliveryNote:
        """This note with what the other one states of its own."""
        stated = {name: getattr(other, name) for name in other.model_fields_set}
        return self.model_copy(update=stated)


@dataclass(frozen=True)
class Delivery:
    """What a connector has written to the sink.

    ``mark``: the greatest value of the mark column, from which the next period goes on.
    """

    file_name: str
    note: DeliveryNote
    mark: str | None = None


def read_note(name: str, content: bytes) -> DeliveryNote:
    """The note in the bytes of a side-car called ``name``.

    Raises:
        DeliveryError: not JSON, or a key or value that a note does not have.
    """
    if len(content) > SIDE_CAR_MAX_BYTES:
        raise DeliveryError(
            f"{name}: more than {SIDE_CAR_MAX_BYTES} bytes, which is no note; correct the side-car "
            "and land again"
        )
    try:
        return DeliveryNote.model_validate_json(content.removeprefix(codecs.BOM_UTF8))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "(json)"
        raise DeliveryError(
            f"{name}: {key}: {first['msg']}; correct the side-car and land again"
        ) from error


@dataclass(frozen=True)
class Order:
    """One dataset of one period, as `land` asks a connector for it.

    ``mark`` is the high-water mark of the delivery that was landed last for an earlier period,
    None where there is none. ``secret`` looks up a secret by its name.
    """

    source: str
    dataset: str
    period: str
    inbox: Path
    max_bytes: int
    mark: str | None = None
    secret: Callable[[str], SecretStr] = field(default=secret, repr=False)

    @property
    def folder(self) -> Path:
        """Where people put deliveries and notes of this period."""
        return self.inbox / self.source / self.period

    def fill(self, template: str) -> str:
        """A template of a contract with the period's values (`options.TEMPLATE_FIELDS`)."""
        year, last_month = self.period[:4], months_of(self.period)[1]
        return template.format(
            period=self.period,
            yyyymm=self.period.replace("-", ""),
            year=year,
            month=last_month[5:],
            period_start=start_of(self.period).isoformat(),
            period_end=end_of(self.period).isoformat(),
        )

    def delivery(
        self,
        file_name: str,
        maturity: Maturity,
        data_label: DataLabel,
        *,
        sent: bytes | None = None,
        mark: str | None = None,
    ) -> Delivery:
        """What was written to the sink, with its note.

        Args:
            maturity, data_label: what the contract says of files of this source.
            sent: the side-car that lies beside the file at its source.
        """
        default = DeliveryNote(maturity=maturity, data_label=data_label)
        return Delivery(file_name, self.note(file_name, default, sent), mark)

    def note(self, file_name: str, default: DeliveryNote, sent: bytes | None) -> DeliveryNote:
        """What is known of a file: the contract's words, then its sender's, then a person's.

        A person declares a restatement of a file that lies on a server by a side-car in the inbox.
        """
        note = default
        side_car = file_name + SIDE_CAR_SUFFIX
        if sent is not None:
            note = note.overlaid(read_note(side_car, sent))
        given = self.folder / side_car
        if given.is_file():
            note = note.overlaid(read_note(side_car, read_bounded(given)))
        return note

    def credential(self, name: str, plain: str) -> dict[str, str]:
        """The parts of a secret: a JSON object, or text that stands for its part ``plain``.

        Raises:
            SettingsError: no such secret.
        """
        text = self.secret(name).get_secret_value().strip()
        if text.startswith("{"):
            try:
                parts = json.loads(text)
            except json.JSONDecodeError:
                parts = None  # a password may begin with a brace
            if isinstance(parts, dict):
                return {key: str(value) for key, value in parts.items() if value is not None}
        return {plain: text}


def read_bounded(path: Path) -> bytes:
    """A small file, one byte more than a note may have at most."""
    with path.open("rb") as file:
        return file.read(SIDE_CAR_MAX_BYTES + 1)


class Sink:
    """A file in the landing store that is not yet a delivery: owner-only, counted and hashed.

    ``size`` is where a broken transfer goes on; ``reached`` is the furthest that any try came.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.size = self.reached = 0
        #: Time of `time.monotonic()` after which a trickle is no longer waited for.
        self.deadline: float | None = None
        self._hash = hashlib.sha256()
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def announce(self, size: int) -> None:
        """Refuse a file whose stated size is too large before it is fetched.

        Raises:
            DeliveryError: more than the contract's limit.
        """
        if size > self.max_bytes:
            raise DeliveryError(
                f"the file has {size} bytes or more, the contract allows {self.max_bytes}; ask "
                "what was sent, or raise limits.max_bytes in the contract"
            )

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            DeliveryError: more than the contract's limit, or the disk does not take them.
            SourceUnavailable: the time for the whole delivery is over.
        """
        self.announce(self.size + len(data))
        self.check_time()
        try:
            self._file.write(data)
        except OSError as error:  # must not look like trouble of the source
            raise DeliveryError(
                f"the landing store takes no more bytes ({error.strerror}); free space and land "
                "again"
            ) from error
        self._hash.update(data)
        self.size += len(data)
        self.reached = max(self.reached, self.size)

    def check_time(self) -> None:
        """A source that sends a trickle is not waited for without end.

        Raises:
            SourceUnavailable: the time for the whole delivery is over.
        """
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise SourceUnavailable(
                f"only {self.size} bytes came in the time that the contract allows "
                "(retry.max_seconds)"
            )

    def restart(self) -> None:
        """Throw away what came so far."""
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self.size = 0

    def keep(self) -> None:
        """Bring the bytes to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())


def only_one(names: Sequence[str], where: str, pattern: str) -> str | None:
    """The one name that matches; None where nothing does.

    Raises:
        DeliveryError: several match, and nobody can say which is meant.
    """
    if len(names) > 1:
        shown = ", ".join(sorted(names)[:NAMES_SHOWN])
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        raise DeliveryError(
            f"{len(names)} files match {pattern} in {where}: {shown}{more}; leave one there, or "
            "make the pattern in the contract narrower"
        )
    return names[0] if names else None
