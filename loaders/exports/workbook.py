"""The workbook of a release: what it is, scorecard, communes, time series, data dictionary."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from loaders.exports.json_files import VALUES
from loaders.exports.release import Facts
from loaders.exports.sheets import Book, Column, Shown
from loaders.exports.tables import Snapshot
from loaders.report import words

LOCAL_LEVELS = ("commune", "district")
SERIES = ("kpi_id", "data_label", "series")
ORDER = (*SERIES, "boundary", "unit_level", "unit_code", "breakdown", "breakdown_value", "period")
WIDE = 44
SCORECARD = (
    *(Column("STT", "No.", 6), Column("Mã chỉ tiêu", "KPI id", 30)),
    *(Column("Chỉ tiêu", "KPI (Vietnamese)", WIDE), Column("Chỉ tiêu", "KPI (English)", WIDE)),
    *(Column("Đơn vị tính", "Unit"), Column("Tình trạng", "State", 24)),
    *(Column("Nhãn dữ liệu", "Data label", 22), Column("Chuỗi", "Series", 22)),
    *(Column("Địa bàn", "Boundary", 26), Column("Kỳ", "Period"), Column("Giá trị", "Value")),
    *(Column("Mục tiêu", "Target", 24), Column("Năm mục tiêu", "Target year", 10)),
    *(Column("Kết luận", "Verdict", 28), Column("Theo đường thẳng", "Straight line", 22)),
    *(Column("Điểm", "Score", 8), Column("Dự báo năm mục tiêu", "Projected for target year")),
    *(Column("Nguồn", "Source", 28), Column("Lưu ý", "Caveat", WIDE)),
)
FIGURES = (
    *(Column("Mã chỉ tiêu", "KPI id", 30), Column("Chỉ tiêu", "KPI", WIDE)),
    *(Column("Đơn vị tính", "Unit"), Column("Nhãn dữ liệu", "Data label", 22)),
    *(Column("Chuỗi", "Series", 22), Column("Địa bàn", "Boundary", 16)),
    *(Column("Cấp", "Level", 10), Column("Mã đơn vị", "Unit code")),
    *(Column("Đơn vị", "Unit", 26), Column("Mã đơn vị theo thời gian", "Dated unit id", 20)),
    *(Column("Phân tổ", "Breakdown"), Column("Giá trị phân tổ", "Breakdown value")),
    *(Column("Kỳ", "Period", 10), Column("Giá trị", "Value"), Column("Tử số", "Numerator")),
    *(Column("Mẫu số", "Denominator"), Column("Bảo mật", "Hidden", 18)),
    *(Column("Sơ bộ hay chính thức", "Maturity"), Column("Lưu ý", "Caveat", WIDE)),
)
DICTIONARY = (
    *(Column("Bảng", "Table", 22), Column("Cột", "Column", 28), Column("Kiểu", "Type", 22)),
    *(Column("Ý nghĩa", "Meaning (Vietnamese)", 70), Column("Ý nghĩa", "Meaning (English)", 70)),
)
ABOUT = (Column("Thông tin", "About this file", 38), Column("", "", 110))
HIDDEN = "bảo mật / hidden"
CONTENTS = (
    "Theo xã: kỳ mới nhất của từng chỉ tiêu, mọi xã (và huyện của kỳ đó) và phân tổ. Chuỗi thời "
    "gian: mọi kỳ của toàn tỉnh, vùng và cả nước. Toàn bộ số liệu ở các tệp CSV và Parquet cùng "
    "thư mục. / Communes: the latest period of each KPI, every commune (and district of that "
    "period) and breakdown. Time series: every period of boundaries, provinces, regions and the "
    "country. All figures are in the CSV and Parquet files of the same folder."
)
PRECISION = (
    "Excel giữ 15 chữ số có nghĩa; số chính xác ở tệp CSV và Parquet. / Excel keeps 15 significant "
    "digits; the exact figures are in the CSV and Parquet files."
)


def write_workbook(snapshot: Snapshot, folder: Path) -> Iterator[tuple[Path, int]]:
    """The workbook with the number of its rows."""
    facts = snapshot.facts
    path = folder / f"nq42_{facts.release_id}.xlsx"
    listed = dict(_about(facts))
    title = f"{' / '.join(facts.label)} · {facts.release_id}"
    figures = _Figures(snapshot)
    with Book(title, listed, facts.published_at) as book:
        count = book.add("Thông tin - About", ABOUT, listed.items())
        count += book.add("Bảng điểm - Scorecard", SCORECARD, _scorecard(snapshot))
        count += book.add("Theo xã - Communes", FIGURES, figures.latest_of_communes())
        count += book.add("Chuỗi thời gian - Time series", FIGURES, figures.time_series())
        count += book.add("Từ điển - Dictionary", DICTIONARY, _dictionary(snapshot))
        book.save(path)
    yield path, count


def _about(facts: Facts) -> Iterator[tuple[str, str]]:
    published = words.moment(facts.published_at)
    yield "Bản công bố / Release", facts.release_id
    yield "Số liệu đến / As of", facts.as_of_period
    yield "Công bố lúc / Published at", f"{published} (Asia/Ho_Chi_Minh)"
    labels = (words.text_of(words.LABELS, label) for label in facts.data_labels)
    yield "Nhãn dữ liệu / Data labels", "; ".join(" / ".join(label) for label in labels)
    yield "Mã băm / Hash", facts.hash
    yield "Giấy phép / Licence", facts.licence_note
    yield "Trích dẫn", facts.citation.vi
    yield "How to cite", facts.citation.en
    yield "Nội dung / Contents", CONTENTS
    yield "Độ chính xác / Precision", PRECISION


def _scorecard(snapshot: Snapshot) -> Iterator[list[Any]]:
    rows = sorted(
        snapshot.rows("scorecard"),
        key=lambda row: (row["sort_order"], row["data_label"] or "", row["boundary"] or ""),
    )
    for row in rows:
        verdict = words.verdict_of(words.VERDICTS, row["verdict"])
        line = words.verdict_of(words.STRAIGHT_LINE, row["straight_line_verdict"])
        decimals = row["decimals"] or 0
        yield [
            *(row["sort_order"], row["kpi_id"], row["name_vi"], row["name_en"], row["unit_vi"]),
            _both(words.STATES, row["state"]),
            _both(words.LABELS, row["data_label"]),
            _both(words.SERIES, row["series"]),
            _both(words.BOUNDARIES, row["boundary"]),
            row["period"],
            Shown(row["value"], decimals),
            _target(row),
            Shown(str(row["target_year"]) if row["target_year"] else None),
            Shown(f"{verdict.sign} {verdict.vi} / {verdict.en}", tone=verdict.tone),
            Shown(f"{line.sign} {line.vi} / {line.en}", tone=line.tone),
            Shown(row["score"], 2),
            Shown(row["projected_target_year_value"], decimals),
            row["source_vi"],
            _caveat(row),
        ]


class _Figures:
    """The rows of the value mart with the names of KPI and unit beside the codes."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.table = snapshot.tables.get(VALUES)
        self.kpis = {row["kpi_id"]: row for row in snapshot.rows("dim_kpi")}
        self.units = {row["unit_id"]: row["name_vi"] for row in snapshot.rows("dim_unit")}
        self.ends = {row["period"]: row["ends_on"] for row in snapshot.rows("dim_period")}

    def latest_of_communes(self) -> Iterator[list[Any]]:
        if self.table is None:
            return
        local = self.table.scan().filter(pl.col("unit_level").is_in(LOCAL_LEVELS))
        latest: dict[tuple[str, ...], str] = {}
        for *key, period in local.select(*SERIES, "period").unique().collect().iter_rows():
            latest[tuple(key)] = max(latest.get(tuple(key), ""), period, key=self._time)
        wanted = pl.LazyFrame(
            [(*key, period) for key, period in latest.items()],
            schema=dict.fromkeys((*SERIES, "period"), pl.String),
            orient="row",
        )
        yield from self._shown(local.join(wanted, on=[*SERIES, "period"], how="semi"))

    def time_series(self) -> Iterator[list[Any]]:
        if self.table is not None:
            yield from self._shown(
                self.table.scan().filter(~pl.col("unit_level").is_in(LOCAL_LEVELS))
            )

    def _time(self, period: str) -> tuple[str, str]:
        """When it ends, then the period itself, so that two of one end are told apart."""
        return str(self.ends.get(period) or ""), period

    def _shown(self, figures: pl.LazyFrame) -> Iterator[list[Any]]:
        for row in figures.sort(*ORDER, nulls_last=True).collect().iter_rows(named=True):
            yield self._row(row)

    def _row(self, row: dict[str, Any]) -> list[Any]:
        kpi = self.kpis.get(row["kpi_id"], {})
        return [
            *(row["kpi_id"], kpi.get("name_vi"), kpi.get("unit_vi"), row["data_label"]),
            *(row["series"], row["boundary"], row["unit_level"], row["unit_code"]),
            *(self.units.get(row["unit_id"]), row["unit_id"], row["breakdown"]),
            *(row["breakdown_value"], row["period"]),
            Shown(row["value"], kpi.get("decimals") or 0),
            *(row["numerator"], row["denominator"], HIDDEN if row["is_suppressed"] else None),
            _both(words.MATURITIES, row["maturity"]),
            _caveat(row),
        ]


def _both(texts: Any, key: str | None) -> str | None:
    return None if key is None else " / ".join(words.text_of(texts, key))


def _target(row: dict[str, Any]) -> str | None:
    """The target with its operator; in the words of its document where there is no number."""
    text = words.target_text(row, row["unit_vi"])
    return row["target_text_vi"] if text == words.NOTHING else text


def _caveat(row: dict[str, Any]) -> str | None:
    return " / ".join(filter(None, (row["caveat_vi"], row["caveat_en"]))) or None


def _dictionary(snapshot: Snapshot) -> Iterator[list[Any]]:
    for table in snapshot.tables.values():
        yield [table.name, None, None, *_two(table.source.about)]
        for name, kind in table.columns.items():
            yield [table.name, name, kind, *_two(table.source.meanings[name])]


def _two(comment: str) -> tuple[str, str]:
    """A comment is "Vietnamese / English"."""
    vi, _, en = comment.partition(" / ")
    return vi, en
