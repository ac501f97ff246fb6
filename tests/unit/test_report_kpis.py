"""The block of one KPI in the month report: pace, chart, changes, sources, breakdowns."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any

import pytest

from loaders.report import words
from loaders.report.html import render_report
from tests.quality_pages import NAUGHTY, batch, quality_view, ran
from tests.report_pages import Node, cell, parse, release_view, verdict


def block(anchor: str = "kpi-sample-cover", **given: Any) -> Node:
    return parse(render_report(release_view(**given))).by_id(anchor)


def text_of(node: Node) -> str:
    return node.text.replace(words.NBSP, " ")


def spaced(node: Node) -> str:
    """The text with a bar behind each cell of a table."""
    for cell_ in [*node.all("td"), *node.all("th")]:
        cell_.children.append("|")
    return text_of(node)


def pace(**given: Any) -> str:
    detail = block(verdicts=[verdict("cover", "limited_progress", **given)])
    return " ".join(text_of(node) for node in detail.all("p", "pace"))


# --- where the pace leads -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "Với nhịp hiện tại: 96,50 % vào cuối năm 2030; đạt chỉ tiêu năm 2029."),
        ({"projected_achievement_year": None}, "96,50 % vào cuối năm 2030; không đạt chỉ tiêu."),
        ({"projected_achievement_year": Decimal("2033.5")}, "đạt chỉ tiêu năm 2033, quá hạn."),
        ({"is_achieved": True}, "đã đạt chỉ tiêu; 96,50 % vào cuối năm 2030."),
        ({"target_id": None}, "At the present pace: 96,50 % at the end of 2030."),
    ],
)
def test_the_pace_is_a_sentence(given: dict[str, Any], said: str) -> None:
    assert said in pace(**given)


def test_without_a_projection_there_is_no_sentence() -> None:
    assert pace(projected_target_year_value=None) == ""
    assert "chỉ tiêu năm" not in pace(target_id=None)


# --- the chart ----------------------------------------------------------------------------------


def test_the_chart_draws_target_way_and_projection_and_says_them() -> None:
    (drawing, other) = block().all("svg", "trend-chart")
    said = text_of(drawing.all("title")[0])
    assert "06/2024: 91,00; 07/2025: 94,13" in said and "96,50 % vào cuối năm 2030" in said
    assert "Chỉ tiêu > 95 %" in [text_of(text) for text in drawing.all("text")]
    dashes = [path.attributes.get("stroke-dasharray") for path in drawing.all("path")]
    assert {"6,3", "2,3"} <= set(dashes)
    assert "2,3" in [path.attributes.get("stroke-dasharray") for path in other.all("path")]
    reached = [verdict("cover", "achieved", straight_line_verdict="achieved")]
    (without, _) = block(verdicts=reached).all("svg", "trend-chart")
    assert len(without.all("path")) == len(drawing.all("path")) - 1  # no way to go any more


def test_the_target_says_from_where_it_is() -> None:
    assert "43-CTr/TU ngày 22/01/2024, đã chứng minh" in block().text


def test_milestones_are_targets_of_the_same_document_for_other_years() -> None:
    view = release_view()
    first = {**view.targets[0], "target_id": "cover__2028", "target_year": 2028}
    before = block().all("svg", "trend-chart")[0]
    after = block(targets=[*view.targets, first]).all("svg", "trend-chart")[0]
    other = {**first, "document_id": "another"}
    elsewhere = block(targets=[*view.targets, other]).all("svg", "trend-chart")[0]
    assert len(after.all("path")) == len(before.all("path")) + 1
    assert len(elsewhere.all("path")) == len(before.all("path"))


# --- what changed -------------------------------------------------------------------------------


def since(**given: Any) -> str:
    (found,) = block(**given).all("div", "since")
    return spaced(found)


def test_the_block_says_what_changed_and_why() -> None:
    said = since()
    assert "Thay đổi so với bản trước (2025-06.1)" in said
    assert "93,50 % 06/2025" in said and "94,13 % 07/2025" in said and "+0,63" in said
    assert "có kỳ số liệu mới" in said
    assert "Tỉnh hiện nay Province of today|– –|93,50 %" in said and "chưa có ở bản trước" in said
    assert "06/2025, địa giới chương trình: 91,50 % → 90,50 %" in said
    assert "mẫu số được cập nhật; cơ quan gửi lại tệp" in said
    assert "Tiến bộ vừa phải → ●○○ Tiến bộ hạn chế" in said and "chỉ tiêu thay đổi" in said
    assert "0 mới, 1.012 điều chỉnh, 0 rút lại (cơ quan gửi lại tệp: 1.012)" in said


def test_a_figure_revised_in_the_same_period_has_its_recorded_cause() -> None:
    before = [cell("cover", "94.5")]
    revised = cell("cover", "94.126") | {
        "value_before": Decimal("94.5"),
        "change": "revised",
        "cause": "restated_file",
        "causes": ["restated_file"],
    }
    said = since(previous_totals=before, revisions=[revised])
    assert "−0,37|cơ quan gửi lại tệp" in said
    assert "không đổi unchanged" in since(
        previous_totals=[cell("cover", "94.126")], revisions=[], verdict_changes=[]
    )


def test_totals_recorded_again_with_the_same_value_are_only_counted() -> None:
    view = release_view()
    same = [{**row, "value": row["value_before"]} for row in view.revisions]
    said = since(revisions=same)
    assert "1 số toàn địa bàn được ghi lại với giá trị không đổi" in said
    assert "→ 91,50" not in said


def test_a_first_release_a_draft_and_an_unchanged_kpi_say_so() -> None:
    assert "mọi số liệu đều mới" in since(previous_release_id=None)
    assert "Bản dự thảo" in since(release=None)
    assert "Không có số liệu nào thay đổi" in since(changes=[])


# --- where it comes from ------------------------------------------------------------------------


def origin(anchor: str = "kpi-sample-cover", **given: Any) -> str:
    (found,) = block(anchor, **given).all("div", "origin")
    return spaced(found)


def test_the_block_names_source_delivery_and_failed_rules() -> None:
    rules = [ran("staff.b", "fail", is_in_use=True), ran("staff.once", "pass")]
    quality = quality_view(
        timeliness=[batch("staff", days_late=4, rows_read=9)],
        volumes=[batch("staff", rows_read=1234, rows_quarantined=2)],
        rules=rules,
    )
    said = origin(quality=quality)
    assert "Sở Y tế" in said and "Nhân lực y tế" in said and "07/2025" in said
    assert "đã nhận" in said and "|4|1.234 / 2|2 / 1|" in said and "Quy tắc staff.b" in said
    assert "Quy tắc staff.once" not in said
    assert "Seen." in said and "Mind the gap." in said


def test_only_deliveries_with_the_label_of_the_figures_are_named() -> None:
    quality = quality_view(timeliness=[batch("staff", data_label="real")], rules=[])
    assert "Nhân lực y tế" not in origin(quality=quality)
    lineage = {"kpis": {"cover": {"delivered": {"inputs": ["health__facilities"]}}}}
    view = release_view()
    release = {**(view.release or {}), "manifest": {"lineage": lineage}}
    quality = quality_view(timeliness=[batch("facilities")], rules=[])
    assert "07/2025" in origin(quality=quality, release=release)


def test_what_nobody_delivers_has_no_source_and_its_own_block() -> None:
    detail = block("kpi-none-unheard")
    said = text_of(detail)
    assert "Chưa có nguồn No source: Chưa có nguồn số liệu." in said
    assert "labour force survey: chưa có nguồn no source" in said
    assert not detail.all("svg")
    page = parse(render_report(release_view()))
    links = [
        a.attributes["href"] for a in page.all("a") if "unheard" in (a.attributes["href"] or "")
    ]
    assert links == ["#kpi-none-unheard"] * 2  # from the first page and from the scorecard


def test_a_definition_that_is_missing_or_unverified_is_said_to_be() -> None:
    view = release_view()
    kpis = [
        {**row, "definition_vi": None, "definition_standing": "unverified", "source_owner_vi": None}
        for row in view.kpis
    ]
    said = text_of(block(kpis=kpis))
    assert "Chưa có định nghĩa" in said and "Định nghĩa chưa kiểm chứng" in said
    assert "Chưa có cơ quan nguồn" in said


# --- breakdowns and communes --------------------------------------------------------------------


def test_breakdowns_have_bars_of_the_length_of_their_figures() -> None:
    (table,) = block().all("table", "breakdown")
    widths = {
        row.all("th")[0].all("span")[0].text: [bar.attributes["style"] for bar in row.all("i")]
        for row in table.all("tr")
        if row.all("td")
    }
    assert widths["Nữ"] == ["width:100%"] and widths["6–15 tuổi"] == ["width:97%"]
    assert widths["Hải đảo"] == []  # suppressed: its length would tell


def test_communes_without_any_figure_have_no_map() -> None:
    view = release_view()
    nothing = [
        {**row, "value": None, "is_suppressed": False, "caveat_vi": None} for row in view.communes
    ]
    detail = block(communes=nothing)
    assert not detail.all("svg", "tiles") and "Chưa có số liệu theo xã" in detail.text
    hidden = [{**row, "is_suppressed": True} for row in nothing]
    assert block(communes=hidden).all("svg", "tiles")


# --- the first page -----------------------------------------------------------------------------


def test_the_first_page_has_each_kpi_with_value_target_and_verdict() -> None:
    page = parse(render_report(release_view()))
    rows = [
        row for table in page.all("table", "glance") for row in table.all("tr") if row.all("td")
    ]
    (cover,) = [row for row in rows if NAUGHTY in row.text and "94,13" in row.text]
    cells = [text_of(node) for node in cover.all("td")]
    assert cells == ["94,13 %", "> 95 %", "●○○Tiến bộ hạn chế"]
    (real,) = [row for row in rows if "63,21" in row.text]
    assert real is not cover
    assert "Chỉ tiêu unheard (chưa có nguồn)" in text_of(page.by_id("overview"))


def test_a_kpi_of_today_only_is_marked() -> None:
    view = release_view()
    today = [
        {**row, "boundary": "qn_current"} if row["kpi_id"] == "free" else row
        for row in view.scorecard
    ]
    page = parse(render_report(dataclasses.replace(view, scorecard=today)))
    assert "4.300 hộ*" in text_of(page.by_id("overview"))


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (Decimal("9999999"), "9.999.999"),
        (Decimal("12500000"), "12,5 triệu"),
        (Decimal("-2195500000"), "−2,2 tỷ"),
        (0, "0"),
    ],
)
def test_numbers_in_drawings_are_short(value: Any, printed: str) -> None:
    assert words.short_number(value, 0).replace(words.NBSP, " ") == printed


def test_a_difference_has_its_sign() -> None:
    assert [words.signed(Decimal(text), 2) for text in ("0.634", "-0.5", "0.001")] == [
        *("+0,63", "−0,50", "0,00"),
    ]
