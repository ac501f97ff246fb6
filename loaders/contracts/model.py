"""Data contracts: one Open Data Contract Standard v3 file per source system, read strictly.

The standard's own library parses the file; what the standard has no word for stands in the
custom property ``nq42`` and is validated by the models below. A key nobody knows, an option the
connector or reader does not take, or a column that cannot be loaded is refused before anything
runs, with file, key and reason.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from open_data_contract_standard.model import OpenDataContractStandard, SchemaObject, SchemaProperty
from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator

from loaders.contracts.cells import NUMBER_CELL_READERS, CellOptions, cell_problems
from loaders.contracts.cells import Strict as _Strict
from loaders.contracts.schedule import MonthlyCron, Schedule
from loaders.periods import months_of, period_in
from loaders.readers.base import Limits
from loaders.readers.unpack import Unpack

CONTRACTS_DIR = Path(__file__).parent
EXTENSION = "nq42"
CLASSIFICATIONS = ("identifier", "quasi", "sensitive", "open")
LOGICAL_TYPES = {
    "string": "text",
    "date": "date",
    "integer": "bigint",
    "number": "numeric",
}
#: Columns that every stage and raw table carries beside the contract's own.
LINEAGE_COLUMNS = {
    "_period": "text",
    "_batch_id": "text",
    "_row_number": "bigint",
    "_sheet": "text",
    "_data_label": "text",
}

Period = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]


class ContractError(ValueError):
    """A contract that cannot be used: the message names file, key and reason."""

    def __init__(self, file: str, key: str, reason: str) -> None:
        self.file, self.key, self.reason = file, key, reason
        super().__init__(f"{file}: {key}: {reason}")


class Named(_Strict):
    """A connector or reader with the options of its function."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)


class Reader(Named):
    """A reader, and how the file is packed that it takes."""

    unpack: Unpack | None = None


class SourceExtension(_Strict):
    owner_vi: str
    owner_en: str
    cron: MonthlyCron


class DatasetExtension(_Strict):
    schedule: Schedule
    connector: Named
    reader: Reader
    limits: Limits = Limits()
    #: Column that states the month inside the file; a file of another month is refused.
    period_column: str | None = None
    distribution_column: str | None = None
    #: Datasets of the same source whose rows this one's gate looks up: they are taken first.
    after: tuple[str, ...] = ()
    max_quarantine_share: float = Field(ge=0, le=1)
    #: An office's running table may stay the same for months; a monthly list may not.
    allow_unchanged: bool = False


class Privacy(_Strict):
    """How a personal column is protected before anything reaches the database.

    ``pseudonym``: keyed HMAC in ``domain``; ``drop``: never loaded; ``truncate_month``: first day
    of the month; ``substring``: characters ``start`` to ``stop`` of a structured number that say
    nothing about the person's identity.
    """

    action: Literal["keep", "pseudonym", "drop", "truncate_month", "substring"] = "keep"
    domain: str | None = Field(default=None, pattern=r"^[a-z_]+$")
    start: int | None = Field(default=None, ge=0)
    stop: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _complete(self) -> Privacy:
        if (self.action == "pseudonym") != (self.domain is not None):
            raise ValueError("'domain' goes with action 'pseudonym', and only with it")
        has_slice = self.start is not None and self.stop is not None
        if (self.action == "substring") != has_slice:
            raise ValueError("'start' and 'stop' go with action 'substring', and only with it")
        return self


class Layout(_Strict):
    """Header of the column from a month on; ``header: null`` says that it is absent."""

    valid_from: Period = Field(alias="from")
    header: str | None


class CitizenNumber(_Strict):
    """The column is a 12-digit citizen number; names the columns it must agree with.

    Digits 1-3 province of registration, digit 4 century and sex (0/1 1900s male/female, 2/3
    2000s, 4/5 2100s), digits 5-6 year of birth. There is no check digit.
    """

    sex_column: str | None = None
    birth_column: str | None = None


class ColumnExtension(CellOptions):
    #: None only where the values come from another column (``precision_of``).
    header: str | None
    privacy: Privacy = Privacy()
    citizen_number: CitizenNumber | None = None
    layouts: tuple[Layout, ...] = ()

    @field_validator("layouts")
    @classmethod
    def _ordered(cls, layouts: tuple[Layout, ...]) -> tuple[Layout, ...]:
        months = [layout.valid_from for layout in layouts]
        if months != sorted(set(months)):
            raise ValueError("layouts stand in order of 'from', each month once")
        return layouts

    @model_validator(mode="after")
    def _has_a_source(self) -> ColumnExtension:
        if (self.header is None) != (self.precision_of is not None):
            raise ValueError("'header: null' goes with 'precision_of', and only with it")
        if self.header is None and (self.layouts or self.citizen_number):
            raise ValueError("'layouts' and 'citizen_number' need a header")
        return self


@dataclass(frozen=True)
class Column:
    """One column of a dataset: what the file holds and what the warehouse keeps of it."""

    name: str
    label_vi: str
    description: str
    logical_type: str
    required: bool
    classification: str
    pattern: str | None
    minimum: float | None
    maximum: float | None
    enum: tuple[str, ...]
    extension: ColumnExtension

    @property
    def is_loaded(self) -> bool:
        return self.extension.privacy.action != "drop"

    @property
    def is_personal(self) -> bool:
        """True where an offending value may not be shown (everything but ``open``)."""
        return self.classification != "open"

    @property
    def physical_type(self) -> str:
        """PostgreSQL type: pseudonyms are 128 bits of the HMAC, kept as ``uuid``."""
        if self.extension.privacy.action == "pseudonym":
            return "uuid"
        return LOGICAL_TYPES[self.logical_type]

    def header(self, period: str) -> str | None:
        """Header of the column in the file of ``period``; None where it is absent."""
        current: str | None = self.extension.header
        last_month = months_of(period)[1]
        for layout in self.extension.layouts:
            if last_month >= layout.valid_from:
                current = layout.header
        return current


@dataclass(frozen=True)
class Dataset:
    """One dataset of a source, with everything the stages need to know."""

    source: str
    name: str
    title_vi: str
    title_en: str
    description: str
    grain: str
    extension: DatasetExtension
    columns: tuple[Column, ...]
    contract_version: str
    contract_hash: str

    @property
    def raw_table(self) -> str:
        return f"{self.source}__{self.name}"

    def period_in(self, month: str) -> str | None:
        """The period that is delivered with ``month``; None when nothing is due."""
        schedule = self.extension.schedule
        period = period_in(schedule.frequency, month)
        if period and schedule.first_period and period < schedule.first_period:
            return None
        return period

    @property
    def loaded_columns(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.is_loaded)

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    def headers(self, period: str) -> list[str]:
        """Distinct headers expected in the file of ``period``, in contract order."""
        found = (column.header(period) for column in self.columns)
        return list(dict.fromkeys(header for header in found if header is not None))


@dataclass(frozen=True)
class Contract:
    """One source system."""

    source: str
    title_vi: str
    title_en: str
    version: str
    hash: str
    purpose: str
    limitations: str
    owner_vi: str
    owner_en: str
    cron: str
    file: str
    datasets: tuple[Dataset, ...] = field(default=())

    def dataset(self, name: str) -> Dataset:
        for dataset in self.datasets:
            if dataset.name == name:
                return dataset
        known = ", ".join(dataset.name for dataset in self.datasets)
        raise KeyError(f"source {self.source} has no dataset {name!r}; it has: {known}")


def _extension(model: type[_Strict], owner: Any, file: str, key: str) -> Any:
    """The strict model of the ``nq42`` custom property of a contract element."""
    values = [p.value for p in owner.customProperties or [] if p.property == EXTENSION]
    unknown = [p.property for p in owner.customProperties or [] if p.property != EXTENSION]
    if unknown:
        raise ContractError(file, f"{key}.customProperties", f"unknown property {unknown[0]!r}")
    if len(values) != 1:
        raise ContractError(file, f"{key}.customProperties", f"exactly one {EXTENSION!r} is needed")
    try:
        return model.model_validate(values[0])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ContractError(file, f"{key}.{EXTENSION}.{where}", first["msg"]) from error


def _check_known(document: Any, parsed: Any, file: str, key: str) -> None:
    """The standard's library drops unknown keys of inner elements; a contract may not have any."""
    if isinstance(document, dict) and isinstance(parsed, dict):
        for name, value in document.items():
            inner = f"{key}.{name}" if key else name
            if name not in parsed:
                raise ContractError(file, inner, "unknown key")
            _check_known(value, parsed[name], file, inner)
    elif isinstance(document, list) and isinstance(parsed, list):
        for value, found in zip(document, parsed, strict=True):
            label = value.get("name") if isinstance(value, dict) else None
            _check_known(value, found, file, f"{key}.{label}" if label else key)


@cache
def _option_types(function: Callable[..., Any]) -> dict[str, tuple[TypeAdapter[Any], bool]]:
    """Type of each option of a connector or reader, and whether it must be given."""
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    return {
        p.name: (TypeAdapter(p.annotation), p.default is inspect.Parameter.empty)
        for p in parameters
        if p.kind is inspect.Parameter.KEYWORD_ONLY
    }


def check_options(
    named: Named, registry: dict[str, Callable[..., Any]], file: str, key: str
) -> Named:
    """Options held against the signature of the function that will receive them, as its types.

    Raises:
        ContractError: unknown function or option, one is missing, or a value is not of its type.
    """
    function = registry.get(named.name)
    if function is None:
        known = ", ".join(sorted(registry))
        raise ContractError(file, f"{key}.name", f"unknown {named.name!r}; known: {known}")
    types = _option_types(function)
    checked = {}
    for option, value in named.options.items():
        where = f"{key}.options.{option}"
        if option not in types:
            known = ", ".join(types) or "none"
            raise ContractError(file, where, f"{named.name} has no such option; known: {known}")
        try:
            checked[option] = types[option][0].validate_python(value)
        except ValidationError as error:
            first = error.errors()[0]
            inner = ".".join([where, *map(str, first["loc"])])
            raise ContractError(file, inner, first["msg"]) from error
    for name, (_, is_needed) in types.items():
        if is_needed and name not in named.options:
            raise ContractError(file, f"{key}.options.{name}", f"{named.name} needs this option")
    return named.model_copy(update={"options": checked})


def _column(prop: SchemaProperty, file: str, key: str) -> Column:
    extension: ColumnExtension = _extension(ColumnExtension, prop, file, key)
    if prop.logicalType not in LOGICAL_TYPES:
        known = ", ".join(LOGICAL_TYPES)
        raise ContractError(file, f"{key}.logicalType", f"{prop.logicalType!r}; known: {known}")
    if prop.classification not in CLASSIFICATIONS:
        known = ", ".join(CLASSIFICATIONS)
        raise ContractError(
            file, f"{key}.classification", f"{prop.classification!r}; known: {known}"
        )
    action = extension.privacy.action
    if prop.classification == "identifier" and action not in ("pseudonym", "drop"):
        raise ContractError(
            file, f"{key}.privacy", "an identifier is pseudonymised or dropped, never kept"
        )
    enum = tuple(str(value.value) for value in prop.enum or ())
    for option, reason in cell_problems(extension, prop.logicalType, enum, action):
        raise ContractError(file, f"{key}.{option}", reason)
    if extension.precision_of and prop.required:
        raise ContractError(file, f"{key}.required", "a column without a header is never required")
    if not (prop.businessName and prop.description):
        raise ContractError(file, key, "businessName and description are needed")
    options = dict(prop.logicalTypeOptions or {})
    known_options = {"pattern", "minimum", "maximum"}
    for option in options:
        if option not in known_options:
            raise ContractError(file, f"{key}.logicalTypeOptions.{option}", "unknown option")
    if options.get("pattern"):
        try:
            re.compile(options["pattern"])
        except re.error as error:
            raise ContractError(file, f"{key}.logicalTypeOptions.pattern", str(error)) from error
    return Column(
        name=prop.name,
        label_vi=prop.businessName,
        description=prop.description,
        logical_type=prop.logicalType,
        required=bool(prop.required),
        classification=prop.classification,
        pattern=options.get("pattern"),
        minimum=options.get("minimum"),
        maximum=options.get("maximum"),
        enum=enum,
        extension=extension,
    )


def _check_references(
    column: Column, columns: tuple[Column, ...], reader: str, file: str, key: str
) -> None:
    """Options of a column that depend on another column or on the reader."""
    options, by_name = column.extension, {other.name: other for other in columns}
    target = options.precision_of
    if target and (target not in by_name or by_name[target].logical_type != "date"):
        raise ContractError(file, f"{key}.precision_of", f"no date column {target!r}")
    within = options.unit_name.within if options.unit_name else None
    if within and (within == column.name or within not in by_name):
        raise ContractError(file, f"{key}.unit_name.within", f"no other column {within!r}")
    if within and by_name[within].extension.header is None:
        raise ContractError(file, f"{key}.unit_name.within", f"{within!r} is not in the file")
    if (
        column.logical_type == "number"
        and options.thousands == "."
        and reader in NUMBER_CELL_READERS
    ):
        reason = f"number cells of {reader} have a decimal point: 1.234 could be either"
        raise ContractError(file, f"{key}.thousands", reason)


def _dataset(schema: SchemaObject, source: str, version: str, digest: str, file: str) -> Dataset:
    from loaders.connectors import CONNECTORS
    from loaders.readers import READERS

    key = f"schema.{schema.name}"
    extension: DatasetExtension = _extension(DatasetExtension, schema, file, key)
    connector = check_options(extension.connector, CONNECTORS, file, f"{key}.connector")
    reader = check_options(extension.reader, READERS, file, f"{key}.reader")
    extension = extension.model_copy(update={"connector": connector, "reader": reader})
    if schema.physicalName != f"{source}__{schema.name}":
        raise ContractError(file, f"{key}.physicalName", f"must be {source}__{schema.name}")
    columns = tuple(_column(p, file, f"{key}.{p.name}") for p in schema.properties or [])
    names = [column.name for column in columns]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ContractError(file, f"{key}.{doubled[0]}", "column stands twice")
    for reference in ("period_column", "distribution_column"):
        value = getattr(extension, reference)
        if value is not None and value not in names:
            raise ContractError(file, f"{key}.{reference}", f"no column {value!r}")
    # The mark stays in the audit trail, and is the one value that a connector reads out of rows.
    mark = connector.options.get("mark_column")
    if mark and any(c.is_personal for c in columns if c.extension.header == mark):
        reason = f"{mark!r} is personal; the mark is kept for good and must be of class 'open'"
        raise ContractError(file, f"{key}.connector.options.mark_column", reason)
    for column in columns:
        citizen = column.extension.citizen_number
        for reference in (citizen.sex_column, citizen.birth_column) if citizen else ():
            if reference is not None and reference not in names:
                raise ContractError(
                    file, f"{key}.{column.name}.citizen_number", f"no column {reference!r}"
                )
    for column in columns:
        _check_references(column, columns, extension.reader.name, file, f"{key}.{column.name}")
    return Dataset(
        source=source,
        name=schema.name,
        title_vi=schema.businessName or schema.name,
        title_en=schema.name.replace("_", " ").capitalize(),
        description=schema.description or "",
        grain=schema.dataGranularityDescription or "",
        extension=extension,
        columns=columns,
        contract_version=version,
        contract_hash=digest,
    )


#: libyaml where PyYAML was built with it: every task of every run reads the contracts.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _UniqueKeyLoader(_Loader):  # type: ignore[misc, valid-type]
    """YAML keeps the last of two equal keys without a word; a contract may not."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key_node.value!r} stands twice", key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def read_contract(path: Path) -> Contract:
    """Parse one contract file.

    Raises:
        ContractError: the file breaks the standard or the rules of this module.
    """
    text = path.read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    file = path.name
    try:
        # A SafeLoader subclass: it only adds the refusal of doubled keys.
        document = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506
        standard = OpenDataContractStandard.model_validate(document)
    except yaml.YAMLError as error:
        raise ContractError(file, "(yaml)", str(error).replace("\n", " ")) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise ContractError(file, ".".join(map(str, first["loc"])), first["msg"]) from error
    _check_known(document, standard.model_dump(by_alias=True, exclude_unset=True), file, "")
    if standard.id != path.stem:
        raise ContractError(file, "id", f"must be the file's name, {path.stem!r}")
    extension: SourceExtension = _extension(SourceExtension, standard, file, "(root)")
    title_vi, _, title_en = (standard.name or "").partition(" / ")
    version = standard.version or ""
    datasets = tuple(
        _dataset(schema, standard.id, version, digest, file) for schema in standard.schema_ or []
    )
    if not datasets:
        raise ContractError(file, "schema", "a contract has at least one dataset")
    earlier: set[str] = set()
    for dataset in datasets:
        for name in dataset.extension.after:
            if name not in earlier:
                reason = f"{name!r} must be a dataset that stands above this one"
                raise ContractError(file, f"schema.{dataset.name}.after", reason)
        earlier.add(dataset.name)
    description = standard.description
    return Contract(
        source=standard.id,
        title_vi=title_vi,
        title_en=title_en or title_vi,
        version=version,
        hash=digest,
        purpose=(description.purpose if description else "") or "",
        limitations=(description.limitations if description else "") or "",
        owner_vi=extension.owner_vi,
        owner_en=extension.owner_en,
        cron=extension.cron,
        file=file,
        datasets=datasets,
    )


def contract_files(directory: Path = CONTRACTS_DIR) -> list[Path]:
    return sorted(directory.glob("*.yaml"))


def check_contracts(directory: Path = CONTRACTS_DIR) -> list[ContractError]:
    """Every contract that cannot be used, one error each."""
    errors = []
    for path in contract_files(directory):
        try:
            read_contract(path)
        except ContractError as error:
            errors.append(error)
    return errors


@cache
def load_contracts() -> tuple[Contract, ...]:
    """All contracts of the project, by source name."""
    return tuple(read_contract(path) for path in contract_files())


def get_contract(source: str, contracts: Iterable[Contract] | None = None) -> Contract:
    pool = list(contracts or load_contracts())
    for contract in pool:
        if contract.source == source:
            return contract
    raise KeyError(f"no source {source!r}; known: {', '.join(c.source for c in pool)}")


def get_dataset(source: str, dataset: str) -> Dataset:
    return get_contract(source).dataset(dataset)
