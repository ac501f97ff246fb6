"""Insurance claims as facilities send them: envelopes of Decision 130 in one ZIP."""

from __future__ import annotations

import io
import zipfile

import polars as pl

#: A visit's number begins with the facility; its own column may be damaged.
VISIT, MADE_UP = "MA_LK", "NGAYLAP"
FACILITY = pl.col(VISIT).str.slice(0, 5)
ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def delivery_order(rows: pl.DataFrame) -> list[int]:
    """Positions of the rows in the order in which the envelopes hold them."""
    keys = rows.select(FACILITY.alias("facility"), MADE_UP).with_row_index("position")
    return keys.sort("facility", MADE_UP, "position")["position"].to_list()


def archive(rows: pl.DataFrame, fixed_time: tuple[int, int, int, int, int, int]) -> bytes:
    """A ZIP with one envelope for each facility and day, of rows in delivery order."""
    fields = [_element(name) for name in rows.columns if name != MADE_UP]
    summary = pl.concat_str(
        pl.lit('<?xml version="1.0" encoding="utf-8"?><TONG_HOP>'), *fields, pl.lit("</TONG_HOP>")
    )
    visit = pl.concat_str(
        pl.lit("<HOSO><FILEHOSO><LOAIHOSO>XML1</LOAIHOSO><NOIDUNGFILE>"),
        summary.str.encode("base64"),
        pl.lit("</NOIDUNGFILE></FILEHOSO></HOSO>\n"),
    )
    envelopes = (
        rows.select(FACILITY.alias("facility"), MADE_UP, visit.alias("visit"))
        .group_by("facility", MADE_UP, maintain_order=True)
        .agg(pl.len().alias("count"), pl.col("visit").str.join(""))
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for facility, made_up, count, visits in envelopes.iter_rows():
            info = zipfile.ZipInfo(f"{facility}_{made_up}.xml", fixed_time)
            info.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(info, _envelope(facility, made_up, count, visits))
    return buffer.getvalue()


def _element(name: str) -> pl.Expr:
    text = pl.col(name)
    for character, escaped in ESCAPES.items():
        text = text.str.replace_all(character, escaped, literal=True)
    filled = pl.concat_str(pl.lit(f"<{name}>"), text, pl.lit(f"</{name}>"))
    return pl.when(pl.col(name).is_null()).then(pl.lit(f"<{name}/>")).otherwise(filled)


def _envelope(facility: str, made_up: str, count: int, visits: str) -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f"<GIAMDINHHS><THONGTINDONVI><MACSKCB>{facility}</MACSKCB></THONGTINDONVI>"
        f"<THONGTINHOSO><NGAYLAP>{made_up}</NGAYLAP><SOLUONGHOSO>{count}</SOLUONGHOSO>"
        f"<DANHSACHHOSO>\n{visits}</DANHSACHHOSO></THONGTINHOSO><CHUKYDONVI/></GIAMDINHHS>\n"
    )
