"""Every figure that the KPIs' blocks of a month report print, and the marts' figures for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import psycopg
from psycopg.rows import dict_row

from loaders.report import words
from tests.report_pages import Node

#: label, KPI, series, then what of it: words as they are printed.
Key = tuple[str, ...]
HIDDEN = "bảo mật"
_NUMBER = re.compile(r"(−?)(\d{1,3}(?:\.\d{3})*|\d+)(?:,(\d+))?")
_ANCHOR = re.compile(r"kpi-(real|sample)-(\w+)")

_TOTALS = """
select v.*, p.year_decimal, u.full_name_vi,
    rank() over (
        partition by v.kpi_id, v.data_label, v.series, v.boundary, v.unit_level
        order by p.year_decimal desc
    ) = 1 as is_latest,
    max(v.period) over (partition by v.kpi_id, v.data_label, v.series, v.unit_level) as last_period
from marts.fct_kpi_value as v
inner join marts.dim_period as p using (period)
left join marts.dim_unit as u using (unit_id)
where v.unit_level in ('boundary', 'commune')
"""


def figures_of_marts(connection: psycopg.Connection) -> dict[Key, Mapping[str, Any]]:
    """What may be printed, by where it would be printed."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_TOTALS).fetchall()
    latest = {
        (row["kpi_id"], row["data_label"], row["series"], row["boundary"]): row["period"]
        for row in rows
        if row["unit_level"] == "boundary" and row["breakdown"] == "total" and row["is_latest"]
    }
    found: dict[Key, Mapping[str, Any]] = {}
    for row in rows:
        boundary = words.text_of(words.BOUNDARIES, row["boundary"]).vi
        series = words.text_of(words.SERIES, row["series"]).vi
        head = (row["data_label"], row["kpi_id"], series)
        period = words.period(row["period"])
        if row["unit_level"] == "commune":
            if row["breakdown"] == "total" and row["period"] == row["last_period"]:
                found[*head, "commune", row["full_name_vi"]] = row
            continue
        if row["breakdown"] == "total":
            found[*head, "history", boundary, period] = row
        key = (row["kpi_id"], row["data_label"], row["series"], row["boundary"])
        if row["period"] != latest.get(key):
            continue
        if row["breakdown"] == "total":
            found[*head, "result", boundary] = row
        else:
            kind = words.text_of(words.BREAKDOWNS, row["breakdown"]).vi
            value = words.breakdown_value_text(row["breakdown"], row["breakdown_value"]).vi
            found[*head, "breakdown", boundary, kind, value] = row
    return found


def printed_figures(page: Node) -> Iterator[tuple[Key, str, str]]:
    """Key, printed figure, and what is printed of numerator and denominator."""
    for article in page.all("article", "kpi"):
        match = _ANCHOR.fullmatch(article.attributes["id"] or "")
        if match is None:
            continue
        series = words.SERIES["total"].vi
        for part in article.children:
            if not isinstance(part, Node):
                continue
            if part.tag == "h5":
                series = _first(part)
            for place, figure, parts in _of(part):
                yield (match[1], match[2], series, *place), figure, parts


def differences(page: Node, marts: Mapping[Key, Mapping[str, Any]]) -> tuple[int, list[str]]:
    """How many figures were compared, and those that are not the marts'."""
    count, wrong = 0, []
    for key, figure, parts in printed_figures(page):
        count += 1
        row = marts.get(key)
        if row is None:
            # A period that one boundary lacks is printed as nothing.
            if figure != words.NOTHING:
                wrong.append(f"{key}: {figure} is not in the marts")
            continue
        if not _says(figure, row["value"], bool(row["is_suppressed"])):
            wrong.append(f"{key}: {figure}, but the marts say {row['value']}")
        if parts and not _says_parts(parts, row):
            wrong.append(
                f"{key}: {parts}, but the marts say {row['numerator']} / {row['denominator']}"
            )
    return count, wrong


def _of(part: Node) -> Iterator[tuple[Key, str, str]]:
    """The figures of one part of a block."""
    for result in part.all("div", "result"):
        parts = [d.all("dd")[0].text for d in result.all("div") if "Tử số" in d.all("dt")[0].text]
        big = result.all("p", "big")[0]
        texts = [child for child in big.children if isinstance(child, str)]
        figure = HIDDEN if big.all("span", "hidden-figure") else "".join(texts).strip()
        yield ("result", _first(result.all("h5")[0])), figure, "".join(parts)
    for table in part.all("table", "breakdown"):
        boundaries = [_first(head) for head in table.all("thead")[0].all("th")[1::2]]
        kind = ""
        for row in (row for body in table.all("tbody") for row in body.all("tr")):
            if row.attributes.get("class") == "group":
                kind = _first(row)
                continue
            cells = row.all("td")
            for index, boundary in enumerate(boundaries):
                place = ("breakdown", boundary, kind, _first(row.all("th")[0]))
                yield place, _shown(cells[2 * index]), cells[2 * index + 1].text
    for table in part.all("table", "history"):
        boundaries = [_first(head) for head in table.all("thead")[0].all("th")[1:]]
        for row in table.all("tbody")[0].all("tr"):
            for boundary, cell in zip(boundaries, row.all("td"), strict=True):
                yield ("history", boundary, row.all("th")[0].text), _shown(cell), ""
    for box in part.all("div", "extremes"):
        for row in (row for body in box.all("tbody") for row in body.all("tr")):
            value, parts_cell = row.all("td")
            yield ("commune", row.all("th")[0].text), value.text, parts_cell.text


def _shown(cell: Node) -> str:
    return HIDDEN if cell.all("span", "hidden-figure") else cell.text


def _first(node: Node) -> str:
    return node.all("span")[0].text


def _says(printed: str, value: Decimal | None, is_suppressed: bool) -> bool:
    """Whether a printed figure is a value, rounded to the decimals that are printed."""
    if is_suppressed:
        return printed == HIDDEN
    if value is None:
        return printed == words.NOTHING
    match = _NUMBER.match(printed)
    if match is None:
        return False
    sign, whole, decimals = match[1], match[2].replace(".", ""), match[3] or ""
    number = Decimal(f"{'-' if sign else ''}{whole}.{decimals or 0}")
    return number == value.quantize(Decimal(1).scaleb(-len(decimals)), rounding=ROUND_HALF_UP)


def _says_parts(printed: str, row: Mapping[str, Any]) -> bool:
    given = printed.split(" / ")
    return all(
        _says(text, row[name], False)
        for text, name in zip(given, ("numerator", "denominator"), strict=True)
    )
