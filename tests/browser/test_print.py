"""The month report on paper: A4, numbered pages, headings with what they head."""

from __future__ import annotations

from pathlib import Path

import pypdfium2
import pytest

from loaders.report.pdf import write_pdf
from tests.browser.province import province_view

A4_POINTS = (595, 842)
HEADINGS = (
    *("Breakdowns", "Since the last release, and why", "Source and quality", "Scorecard"),
    *("Indicators in detail", "/ Sample figures", "/ Real figures", "Programme boundary"),
    "A over b.",  # a definition, which stands above the results
)


@pytest.fixture(scope="module")
def pages(reports: dict[str, Path]) -> list[str]:
    """The text of each printed page."""
    with pypdfium2.PdfDocument(write_pdf(reports["report"])) as document:
        sizes = {tuple(round(side) for side in page.get_size()) for page in document}
        assert sizes == {A4_POINTS}
        return [page.get_textpage().get_text_bounded() for page in document]


def test_every_page_has_its_number_and_the_label_of_sample_data(pages: list[str]) -> None:
    for number, text in enumerate(pages, start=1):
        assert f"{number} / {len(pages)}" in text
        assert "DỮ LIỆU MẪU / SAMPLE DATA" in text


def test_the_programme_fits_on_the_first_page(pages: list[str]) -> None:
    first = " ".join(pages[0].split())
    assert "Chương trình trên một trang" in first
    for row in province_view().kpis:
        assert row["name_vi"].split(",")[-1].strip().split("<")[0] in first, row["kpi_id"]
    assert "2. Bảng chỉ tiêu" in pages[1]


def test_heads_of_tables_are_printed_again(pages: list[str]) -> None:
    heads = [page for page in pages if "Đường thẳng, dự kiến" in page]
    assert len(heads) > 2


def orphans(pages: list[str]) -> list[str]:
    """Headings that are the last line of a page."""
    found = []
    for number, text in enumerate(pages, start=1):
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        body = [
            line
            for line in lines
            if "SAMPLE DATA" not in line and line != f"{number} / {len(pages)}"
        ]
        if body and body[-1].endswith(HEADINGS):
            found.append(f"page {number}: {body[-1]}")
    return found


def test_no_page_ends_with_a_heading(pages: list[str]) -> None:
    assert orphans(pages) == []
    for heading in HEADINGS:  # they are in the report under these names
        assert any(heading in page for page in pages), heading


def test_a_heading_at_the_end_of_a_page_is_seen() -> None:
    pages = ["Figures\n12\n1 / 2", "More\nNguồn và chất lượng Source and quality\n2 / 2"]
    assert orphans(pages) == ["page 2: Nguồn và chất lượng Source and quality"]


def test_links_lead_into_the_document_and_nowhere_else(reports: dict[str, Path]) -> None:
    printed = write_pdf(reports["report"]).read_bytes()
    assert b"/Dest" in printed and b"/Outlines" in printed
    assert b"file:" not in printed and str(reports["report"].parent).encode() not in printed
