"""SDMX-ML 2.1 data messages, structure-specific and generic, one row per observation.

The file is read without its data structure definition: offices send the data alone. pysdmx reads
such files too, but whole and through a tree of dictionaries; it is the other reader in the tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from loaders.readers.base import Limits, ReaderError, Table
from loaders.readers.rows import Item, batches, check_names, check_usable
from loaders.readers.safe_xml import events, forget

STRUCTURE_SPECIFIC = ("StructureSpecificData", "StructureSpecificTimeSeriesData")
GENERIC = ("GenericData", "GenericTimeSeriesData")
VALUE = "OBS_VALUE"
TIME = "TIME_PERIOD"
#: What the standard writes where there is no number.
MISSING = "NaN"
WHAT = "the SDMX file"


def read_sdmx(path: Path, limits: Limits, *, columns: Sequence[str] = ()) -> Table:
    """Open a data message.

    Headers are the dimensions and attributes of series and observations, ``OBS_VALUE`` included,
    in the order in which the file brings them; an observation without one of them has null.
    ``NaN`` is null. Attributes of the data set and of the header are left out.

    Args:
        columns: give only these of them.

    Raises:
        ReaderError: no SDMX-ML 2.1 data message, one that deletes or that its sender marks as
            incomplete, an attribute asked for that stands on a group, or a limit.
    """
    found: dict[str, None] = {}
    on_groups: set[str] = set()
    for observation in _observations(path, on_groups):
        found.update(dict.fromkeys(observation))
        if len(found) > limits.max_columns:
            raise ReaderError(
                f"more than {limits.max_columns} dimensions and attributes; ask the sender what "
                "this file is, or raise max_columns in the contract"
            )
    if not found:
        raise ReaderError("no observation in the SDMX file; fetch it again")
    grouped = sorted(on_groups & set(columns) - found.keys())
    if grouped:
        raise ReaderError(
            f"{grouped} stand on groups of series; take them out of the contract, or ask for a "
            "file with them on the series"
        )
    check_names(columns, found, WHAT)
    headers = list(columns) or list(found)
    check_usable(headers)
    return Table(headers=headers, batches=batches(headers, _rows(path, headers), limits))


def _rows(path: Path, headers: list[str]) -> Iterator[Item]:
    for number, observation in enumerate(_observations(path, set()), start=1):
        if observation.get(VALUE) == MISSING:
            del observation[VALUE]
        yield number, "", [observation.get(header) for header in headers]


def _observations(path: Path, on_groups: set[str]) -> Iterator[dict[str, str]]:
    """Name → text of every observation, those of its series included."""
    with path.open("rb") as stream:
        parts = ((event, _local(e), e) for event, e in events(stream, WHAT))
        root = next(parts)[1]
        if root in STRUCTURE_SPECIFIC:
            yield from _structure_specific(parts, on_groups)
        elif root in GENERIC:
            yield from _generic(parts, on_groups)
        else:
            raise ReaderError(
                f"no SDMX-ML 2.1 data message but {root[:60]!r}; fetch the data, not the structure"
            )


def _structure_specific(
    parts: Iterator[tuple[str, str, Any]], on_groups: set[str]
) -> Iterator[dict[str, str]]:
    series: dict[str, str] = {}
    for event, name, element in parts:
        if event == "start":
            if name == "Series":
                series = _attributes(element)
            elif name == "Group":
                on_groups.update(_attributes(element))
            _check_message(name, element)
            continue
        if name == "Obs":
            yield series | _attributes(element)
        elif name == "Series":
            series = {}
        _check_action(name, element)
        forget(element)


def _generic(
    parts: Iterator[tuple[str, str, Any]], on_groups: set[str]
) -> Iterator[dict[str, str]]:
    series: dict[str, str] = {}
    observation: dict[str, str] = {}
    group: dict[str, str] = {}
    current, across = group, TIME
    for event, name, element in parts:
        if event == "start":
            if name == "Structure":
                across = element.get("dimensionAtObservation", across)
            elif name == "Series":
                current = series = {}
            elif name == "Group":
                current = group = {}
            elif name == "Obs":
                current = observation = {}
            _check_message(name, element)
            continue
        if name == "Value":
            current[element.get("id", "")] = element.get("value", "")
        elif name == "ObsDimension":
            observation[element.get("id", across)] = element.get("value", "")
        elif name == "ObsValue":
            observation[VALUE] = element.get("value", "")
        elif name == "Obs":
            yield series | observation
        elif name == "Series":
            series = {}
        elif name == "Group":
            on_groups.update(group)
        _check_action(name, element)
        forget(element)


def _local(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _attributes(element: Any) -> dict[str, str]:
    """Without those of a namespace: they are about the XML, not about the data."""
    return {name: value for name, value in element.attrib.items() if not name.startswith("{")}


def _check_message(name: str, element: Any) -> None:
    """A footer says that the service could not give all; a data set may say that it deletes."""
    if name == "Message" and element.get("code"):
        raise ReaderError(
            f"the service ends its answer with message code {element.get('code')[:20]!r}: the data "
            "are not complete; fetch them again, in smaller parts"
        )
    if name == "DataSet":
        actions = [v for k, v in element.attrib.items() if k.rpartition("}")[2] == "action"]
        _refuse_deletion(actions[0] if actions else "")


def _check_action(name: str, element: Any) -> None:
    if name == "DataSetAction":
        _refuse_deletion(element.text or "")


def _refuse_deletion(action: str) -> None:
    if action.strip().lower().startswith("d"):
        raise ReaderError("the message deletes observations; fetch the data themselves")
