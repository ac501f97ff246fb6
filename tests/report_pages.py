"""A small release made by hand, and a reader of the page, for the tests of the report."""

from __future__ import annotations

import dataclasses
import re
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

from loaders.report.data import ReleaseView
from tests.quality_pages import FILE, NAUGHTY, NOON, quality_view

HEAD, EVENT = "a" * 64, "b" * 64


# --- a small release ----------------------------------------------------------------------------


def kpi(kpi_id: str, **given: Any) -> dict[str, Any]:
    return {
        "kpi_id": kpi_id,
        "sort_order": 1,
        "state": "computed",
        "kpi_group": "health",
        "name_vi": f"Chỉ tiêu {kpi_id}",
        "name_en": f"Indicator {kpi_id}",
        "unit_vi": "%",
        "unit_en": "%",
        "direction_sign": 1,
        "decimals": 2,
        "definition_vi": "Tử chia mẫu.",
        "definition_en": "A over b.",
        "definition_standing": "proven",
        "definition_proof": "Seen.",
        "legal_reference": None,
        "source_owner_vi": "Sở Y tế",
        "source_dataset": "health.staff",
        "programme_paragraph": "II.2.1",
        "pitfalls_en": "Mind the gap.",
        **given,
    }


def target(kpi_id: str, operator: str, value: str | None, **given: Any) -> dict[str, Any]:
    return {
        "target_id": f"{kpi_id}__2030",
        "kpi_id": kpi_id,
        "operator": operator,
        "target_value": None if value is None else Decimal(value),
        "target_low": None,
        "target_high": None,
        "target_year": 2030,
        "text_vi": "nguyên văn",
        "document_id": "43-CTr/TU",
        "document_number": "43-CTr/TU",
        "document_issued_on": date(2024, 1, 22),
        "document_standing": "proven",
        **given,
    }


def cell(kpi_id: str, value: str | None, **given: Any) -> dict[str, Any]:
    return {
        "kpi_id": kpi_id,
        "data_label": "sample",
        "series": "total",
        "period": "2025-07",
        "boundary": "qn_programme",
        "unit_level": "boundary",
        "unit_code": "qn_programme",
        "unit_id": "qn_programme",
        "breakdown": "total",
        "breakdown_value": "total",
        "numerator": Decimal(940),
        "denominator": Decimal(1000),
        "value": None if value is None else Decimal(value),
        "denominator_id": "commune_population",
        "denominator_vintage": "vintage",
        "maturity": "final",
        "is_suppressed": False,
        "caveat_vi": None,
        "caveat_en": None,
        "year_decimal": 2025 + 7 / 12,
        **given,
    }


def commune(kpi_id: str, value: str | None, number: int, **given: Any) -> dict[str, Any]:
    name = given.pop("name_vi", f"Tên {number}")
    return cell(kpi_id, value) | {
        "unit_level": "commune",
        "unit_code": f"2{number:04}",
        "unit_id": f"2{number:04}@2025-07-01",
        "name_vi": name,
        "name_en": f"Name {number}",
        "full_name_vi": f"Xã {name}",
        "sort_key": f"{number:04}",
        "latitude": 14.0 + number % 10 / 7,
        "longitude": 107.5 + number // 10 / 6,
        "district_vi": None,
        **given,
    }


def score(row: dict[str, Any], **given: Any) -> dict[str, Any]:
    """A line of the scorecard for a KPI without figures; `given` adds them."""
    return {
        **{name: row[name] for name in _SCORECARD_NAMES},
        "data_label": None,
        "series": None,
        "boundary": None,
        "period": None,
        "value": None,
        "operator": None,
        "target_text_vi": None,
        "target_value": None,
        "target_year": None,
        "verdict": "not_available",
        "straight_line_verdict": "not_available",
        "score": None,
        "projected_target_year_value": None,
        "source_vi": row["source_owner_vi"],
        "caveat_vi": None,
        "caveat_en": None,
        **given,
    }


_SCORECARD_NAMES = (
    *("sort_order", "kpi_id", "kpi_group", "name_vi", "name_en", "unit_vi", "unit_en", "state"),
    *("definition_standing", "decimals"),
)


def verdict(kpi_id: str, name: str, **given: Any) -> dict[str, Any]:
    return {
        "kpi_id": kpi_id,
        "data_label": "sample",
        "series": "total",
        "boundary": "qn_programme",
        "period": "2025-07",
        "base_period": "2024-06",
        "base_value": Decimal("90"),
        "target_id": f"{kpi_id}__2030",
        "target_year": Decimal(2031),
        "verdict": name,
        "score": Decimal("1.25"),
        "reason_vi": "Lý do.",
        "reason_en": "A reason.",
        "straight_line_expected": Decimal("91"),
        "straight_line_verdict": "behind",
        "projected_target_year_value": Decimal("96.5"),
        "projected_achievement_year": Decimal("2029.25"),
        "is_achieved": False,
        "is_achieved_but_worsening": False,
        "is_deadline_passed": False,
        **given,
    }


def release_view(**given: Any) -> ReleaseView:
    """Three computed KPIs in both boundaries, a real published figure, one KPI without source."""
    cover = kpi("cover", name_vi=NAUGHTY, sort_order=1)
    jobless = kpi("jobless", kpi_group="labour", sort_order=2, direction_sign=-1)
    free = kpi("free", sort_order=3, unit_vi="hộ", decimals=0, definition_standing="secondary")
    silent = kpi("silent", sort_order=4, state="no_source", definition_standing="unverified")
    unheard = kpi("unheard", sort_order=5, state="no_source", source_dataset="labour force survey")
    figures = {"data_label": "sample", "series": "total", "period": "2025-07"}
    wanted = {"operator": ">", "target_value": Decimal(95), "target_year": 2030}
    programme = figures | {"boundary": "qn_programme"}
    view = ReleaseView(
        note={
            "release_label_vi": "Dữ liệu mẫu / Sample data",
            "release_label_en": "Sample data",
            "as_of_period": "2025-07",
            "built_at": NOON,
            "candidate_id": "2025-07-c1",
        },
        release={
            "release_seq": 2,
            "release_id": "2025-07.1",
            "period": "2025-07",
            "candidate_id": "2025-07-c1",
            "published_at": NOON,
            "code_version": "0.1.0",
            "manifest": {
                "tables": {"scorecard": {"rows": 62, "sha256": FILE}},
                "ledger": {"kpi_value": {"rows": 9, "sha256": FILE}},
            },
            "chain_head": HEAD,
            "event_hash": EVENT,
            "event_seq": 41,
        },
        previous_release_id="2025-06.1",
        periods=[
            {"period": "2024-06", "year_decimal": Decimal("2024.5")},
            {"period": "2025-07", "year_decimal": Decimal("2025.5833")},
        ],
        kpis=[cover, jobless, free, silent, unheard],
        targets=[
            target("cover", ">", "95"),
            target("jobless", "<", "2"),
            target("silent", "<=", "2"),
        ],
        scorecard=[
            score(
                cover,
                **programme | wanted,
                value=Decimal("94.126"),
                verdict="limited_progress",
                straight_line_verdict="behind",
                projected_target_year_value=Decimal("96.5"),
            ),
            score(cover, **figures | wanted, boundary="qn_current", value=Decimal("93.5")),
            score(
                cover,
                **wanted,
                data_label="real",
                series="published",
                boundary="qn_programme",
                period="2016",
                value=Decimal("63.21"),
            ),
            score(
                jobless,
                **programme,
                operator="<",
                target_value=Decimal(2),
                target_year=2030,
                value=Decimal("1.9996"),
                verdict="achieved",
                straight_line_verdict="achieved",
            ),
            score(free, **programme, value=Decimal("4300.0")),
            score(
                silent,
                operator="<=",
                target_value=Decimal(2),
                target_year=2030,
                target_text_vi="nguyên văn",
                caveat_vi="Chưa có nguồn số liệu.",
                caveat_en="No source.",
            ),
            score(unheard, caveat_vi="Chưa có nguồn số liệu.", caveat_en="No source."),
        ],
        boundary_values=[
            cell("cover", "91", period="2024-06", year_decimal=2024.5),
            cell("cover", "94.126", maturity="provisional"),
            cell("cover", "93.5", boundary="qn_current"),
            cell(
                "cover",
                "63.21",
                data_label="real",
                series="published",
                period="2016",
                year_decimal=2017.0,
                numerator=None,
                denominator=None,
                denominator_id=None,
            ),
            cell("jobless", "1.9996"),
            cell("free", "4300.0"),
        ],
        reference_values=[
            cell(
                "silent",
                "2.24",
                data_label="real",
                boundary="reference",
                unit_name_vi="Việt Nam",
                unit_name_en="Viet Nam",
            )
        ],
        breakdowns=[
            cell("cover", "95.5", breakdown="sex", breakdown_value="female"),
            cell("cover", "92.25", breakdown="age_group", breakdown_value="6-15"),
            cell("cover", "77.7", breakdown="age_group", breakdown_value="60+"),
            cell(
                "cover",
                None,
                breakdown="zone",
                breakdown_value="island",
                is_suppressed=True,
                numerator=None,
            ),
        ],
        communes=[
            commune("cover", "81.26", 1),
            commune("cover", "99.5", 2, caveat_vi="Nhận một phần.", caveat_en="Took a part."),
            commune("cover", "90", 3, boundary="qn_current"),
            commune("cover", "95", 4, name_vi=NAUGHTY),
            commune("cover", None, 5, is_suppressed=True, numerator=None),
        ],
        verdicts=[
            verdict("cover", "limited_progress"),
            verdict("cover", "not_available", boundary="qn_current", score=None),
            verdict("jobless", "achieved", is_achieved=True, is_achieved_but_worsening=True),
        ],
        changes=[
            {
                "kpi_id": "cover",
                "data_label": "sample",
                "change": "revised",
                "cause": "restated_file",
                "rows": 1012,
            }
        ],
        revisions=[
            cell("cover", "90.5", period="2025-06")
            | {
                "value_before": Decimal("91.5"),
                "change": "revised",
                "cause": "denominator_vintage",
                "causes": ["denominator_vintage", "restated_file"],
            }
        ],
        verdict_changes=[
            verdict("cover", "limited_progress")
            | {
                "verdict_before": "moderate_progress",
                "change": "revised",
                "causes": ["target", "unexplained"],
            }
        ],
        previous_totals=[cell("cover", "93.5", period="2025-06")],
        quality=quality_view(),
    )
    return dataclasses.replace(view, **given)


# --- reading the page ---------------------------------------------------------------------------

VOID = {"meta", "br", "link", "img", "hr", "input", "col"}


class Node:
    """An element, with all text inside it."""

    def __init__(self, tag: str, attributes: dict[str, str | None], parent: Node | None) -> None:
        self.tag, self.attributes, self.parent = tag, attributes, parent
        self.children: list[Node | str] = []

    @property
    def text(self) -> str:
        parts = [child if isinstance(child, str) else child.text for child in self.children]
        return re.sub(r"[ \n\t]+", " ", "".join(parts)).strip()

    def all(self, tag: str | None = None, css_class: str | None = None) -> list[Node]:
        found = []
        for child in self.children:
            if isinstance(child, Node):
                classes = (child.attributes.get("class") or "").split()
                if tag in (None, child.tag) and (css_class is None or css_class in classes):
                    found.append(child)
                found.extend(child.all(tag, css_class))
        return found

    def by_id(self, name: str) -> Node:
        (found,) = [node for node in self.all() if node.attributes.get("id") == name]
        return found


class _Tree(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = self.at = Node("root", {}, None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, dict(attrs), self.at)
        self.at.children.append(node)
        if tag not in VOID:
            self.at = node

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.at.children.append(Node(tag, dict(attrs), self.at))

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.at.tag, f"</{tag}> closes <{self.at.tag}>"
        assert self.at.parent is not None
        self.at = self.at.parent

    def handle_data(self, data: str) -> None:
        self.at.children.append(data)


def parse(html: str) -> Node:
    tree = _Tree()
    tree.feed(html)
    assert tree.at is tree.root, f"<{tree.at.tag}> is never closed"
    return tree.root
