"""Deliveries that lie in a folder: the inbox ``<inbox>/<source>/<period>/``, or a mounted share."""

from __future__ import annotations

import re
import time
from pathlib import Path

from loaders.connectors.base import (
    BESIDE,
    CHUNK_BYTES,
    SIDE_CAR_SUFFIX,
    DataLabel,
    Delivery,
    DeliveryError,
    Maturity,
    Order,
    Sink,
    SourceUnavailable,
    only_one,
    read_bounded,
)
from loaders.connectors.options import Pattern, ShareFolder, Wait
from loaders.settings import SettingsError, variable

#: Size, time of the last change, and which file it is.
State = tuple[int, int, int]


def fetch_local(
    order: Order,
    sink: Sink,
    *,
    pattern: Pattern,
    folder: ShareFolder | None = None,
    stable_seconds: Wait = 0,
    maturity: Maturity = "provisional",
    data_label: DataLabel = "real",
) -> Delivery | None:
    """The file of one dataset for a period; None when nothing has arrived.

    Args:
        pattern: file name below the folder, a template, with ``*``, ``?`` and ``[…]``.
        folder: a mounted share instead of the inbox: an absolute path, or one that begins with a
            setting such as ``$NQ42_SHARE_HEALTH``; a template.
        stable_seconds: a file must keep its size and time for so long before it is taken.
        maturity, data_label: of files without a side-car.

    Raises:
        DeliveryError: several files match, one lies outside the folder, the side-car is wrong.
        SourceUnavailable: the share is away, or the file is still being written.
        SettingsError: the setting that ``folder`` names is not set.
    """
    base = order.folder if folder is None else _share(order.fill(folder))
    name = order.fill(pattern)
    try:
        if folder is not None:
            _check_mounted(folder)
        path = _match(base, name)
        if path is None:
            return None
        _wait_until_stable(path, stable_seconds)
        _copy(path, sink)
        side_car = path.with_name(path.name + SIDE_CAR_SUFFIX)
        sent = read_bounded(_inside(base, side_car)) if side_car.is_file() else None
    except OSError as error:
        raise SourceUnavailable(
            f"{name} cannot be read from {base} ({error.strerror or type(error).__name__}); check "
            "the share and its rights"
        ) from error
    return order.delivery(path.name, maturity, data_label, sent=sent)


def _share(folder: str) -> Path:
    match = re.match(r"\$(NQ42_[A-Z0-9_]+)", folder)
    if match is None:
        return Path(folder)
    value = variable(match[1])
    if value is None:
        raise SettingsError(f"{match[1]} is not set: the contract takes a share's folder from it")
    return Path(value + folder[match.end() :])


def _check_mounted(folder: str) -> None:
    """A month's folder may not be there yet; the share that it is made in must be."""
    before, brace, _ = folder.partition("{")
    fixed = _share(before.rpartition("/")[0] if brace else folder)
    if not fixed.is_dir():
        raise SourceUnavailable(f"the folder {fixed} is not there; is the share mounted?")


def _match(base: Path, name: str) -> Path | None:
    if re.search(r"[*?\[]", name):
        found = {
            path.relative_to(base).as_posix(): path
            for path in base.glob(name)
            if path.is_file() and not path.name.endswith(BESIDE)
        }
    else:
        found = {name: base / name} if (base / name).is_file() else {}
    chosen = only_one(list(found), str(base), name)
    return None if chosen is None else _inside(base, found[chosen])


def _inside(base: Path, path: Path) -> Path:
    """The path itself; a link may not lead to another place of this machine."""
    if not path.resolve().is_relative_to(base.resolve()):
        raise DeliveryError(
            f"{path.name} is a link that leads out of {base}; put the file itself there"
        )
    return path


def _state(path: Path) -> State:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def _wait_until_stable(path: Path, seconds: float) -> None:
    # The file's age says nothing: clocks of shares differ, and copying tools keep old times.
    if seconds:
        before = _state(path)
        time.sleep(seconds)
        _refuse_change(path, before)


def _copy(path: Path, sink: Sink) -> None:
    before = _state(path)
    sink.announce(before[0])
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            sink.write(chunk)
    _refuse_change(path, before)


def _refuse_change(path: Path, before: State) -> None:
    if _state(path) != before:
        raise SourceUnavailable(f"{path.name} is still being written; it is taken once it is whole")
