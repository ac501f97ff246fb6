"""The structure of the KPI figures in SDMX: concepts, code lists, data structure, dataflow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pysdmx.io.format import Format
from pysdmx.io.writer import write_sdmx
from pysdmx.model import (
    Agency,
    Code,
    Codelist,
    Component,
    Components,
    Concept,
    ConceptScheme,
    Dataflow,
    DataStructureDefinition,
    DataType,
    ItemReference,
    Organisation,
    Role,
)
from pysdmx.model.message import Header

from loaders.exports.release import Facts
from loaders.exports.sdmx_ids import FREQUENCIES, sdmx_id

AGENCY = "NQ42"
VERSION = "1.0.0"
CONCEPTS = "CS_KPI"
FLOW = f"{AGENCY}:KPI_VALUES({VERSION})"


@dataclass(frozen=True)
class Part:
    """A component and the column of the mart that it comes from.

    Without a type it is coded; `name` is for those that no column of the mart describes.
    """

    id: str
    column: str
    role: Role
    type: DataType | None = None
    name: str = ""


_D, _M, _A = Role.DIMENSION, Role.MEASURE, Role.ATTRIBUTE
PARTS = (
    Part("FREQ", "frequency", _D, name="Tần suất / Frequency"),
    Part("KPI", "kpi_id", _D),
    Part("DATA_LABEL", "data_label", _D),
    Part("SERIES", "series", _D),
    Part("BOUNDARY", "boundary", _D),
    Part("REF_AREA", "unit_id", _D),
    Part("BREAKDOWN", "breakdown", _D),
    Part("BREAKDOWN_VALUE", "breakdown_value", _D),
    Part("TIME_PERIOD", "period", _D, DataType.PERIOD),
    Part("OBS_VALUE", "value", _M, DataType.DECIMAL),
    Part("NUMERATOR", "numerator", _M, DataType.DECIMAL),
    Part("DENOMINATOR", "denominator", _M, DataType.DECIMAL),
    Part("CONTRIBUTORS", "contributors", _M, DataType.LONG),
    Part("UNIT_LEVEL", "unit_level", _A),
    Part("UNIT_CODE", "unit_code", _A, DataType.STRING),
    Part("DENOMINATOR_ID", "denominator_id", _A),
    Part("DENOMINATOR_VINTAGE", "denominator_vintage", _A, DataType.STRING),
    Part("MATURITY", "maturity", _A),
    Part("CONF_STATUS", "is_suppressed", _A),
    Part("CAVEAT", "caveat", _A, name="Lưu ý / Caveat"),
    Part(
        *("RELEASE", "release_id", _A, DataType.STRING),
        name="Bản công bố / Release",
    ),
)
CONF_STATUS = {"F": "Công khai / Free", "C": "Bảo mật số nhỏ / Hidden for disclosure protection"}
FIXED = {"FREQ": FREQUENCIES, "CONF_STATUS": CONF_STATUS}


def write_structure(
    path: Path,
    facts: Facts,
    codes: Mapping[str, Mapping[str, str]],
    meanings: Mapping[str, str],
) -> int:
    """Write the structure message (SDMX-ML 3.0); the number of its codes.

    Args:
        codes: component → identifier → name of each of its codes.
        meanings: column of the mart → its comment.
    """
    about = f"release {facts.release_id}, hash {facts.hash}; {facts.licence_note}"
    lists = {part.id: _codelist(part.id, codes[part.id]) for part in PARTS if part.type is None}
    concepts = ConceptScheme(
        id=CONCEPTS,
        agency=AGENCY,
        version=VERSION,
        name="Khái niệm của số liệu chỉ tiêu / Concepts of the KPI figures",
        items=[Concept(id=part.id, name=_name(part, meanings)) for part in PARTS],
    )
    structure = DataStructureDefinition(
        id="DSD_KPI",
        agency=AGENCY,
        version=VERSION,
        name="Số liệu chỉ tiêu / KPI figures",
        components=Components([_component(part, lists) for part in PARTS]),
    )
    flow = Dataflow(
        id="KPI_VALUES",
        agency=AGENCY,
        version=VERSION,
        name=f"{' / '.join(facts.label)}: số liệu chỉ tiêu / KPI figures",
        description=about,
        structure=structure,
    )
    write_sdmx(
        [*lists.values(), concepts, structure, flow],
        Format.STRUCTURE_SDMX_ML_3_0,
        path,
        header=Header(
            id=sdmx_id(f"NQ42_{facts.release_id}"),
            test=facts.is_sample,
            prepared=facts.published_at,
            sender=Organisation(id=AGENCY),
            source=about,
        ),
    )
    return sum(len(items.items) for items in lists.values())


def _codelist(component: str, codes: Mapping[str, str]) -> Codelist:
    return Codelist(
        id=f"CL_{component}",
        agency=Agency(id=AGENCY),
        version=VERSION,
        name=f"CL_{component}",
        items=[Code(id=code, name=name) for code, name in codes.items()],
    )


def _name(part: Part, meanings: Mapping[str, str]) -> str:
    return part.name or meanings.get(part.column) or part.column


def _component(part: Part, lists: Mapping[str, Codelist]) -> Component:
    return Component(
        id=part.id,
        required=part.role is Role.DIMENSION,
        role=part.role,
        concept=ItemReference("Concept", AGENCY, CONCEPTS, VERSION, part.id),
        local_dtype=part.type or DataType.STRING,
        local_codes=lists.get(part.id),
        attachment_level="O" if part.role is Role.ATTRIBUTE else None,
    )


def named(codes: Iterable[str], names: Mapping[str, str]) -> dict[str, str]:
    """Identifier → name of each code, in the order of the codes; one without a name is its own."""
    return {sdmx_id(code): names.get(code) or code for code in sorted(codes)}
