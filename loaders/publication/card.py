"""The card of a release: one readable row that a BI tool shows, and the same in every comment.

`marts.release_info` is given back from `publication.release` itself: its row holds the moment of
the switch, which is known only when nothing else may be written any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from loaders.contracts.interface import ADDED_BY_PUBLISHING, VERSION
from loaders.publication.content import columns_of, content
from loaders.publication.frozen import freeze

CARD = "release_info"
#: Between what a comment says of a table and what of its release, which begins with these words.
BETWEEN, RELEASE_VI = " · ", "Bản công bố "
COMMENTS = {
    "release_id": "Mã bản công bố / Id of the release",
    "as_of_period": "Tháng số liệu mới nhất / Month of the latest figures",
    "published_at": "Thời điểm công bố / Moment of publication",
    "data_labels": "Các nhãn dữ liệu có trong bản công bố / Data labels in the release",
    "release_label_vi": "Nhãn bản công bố / Label of the release, in Vietnamese",
    "release_label_en": "Nhãn bản công bố bằng tiếng Anh / Label of the release, in English",
    "oldest_source": "Nguồn và bộ dữ liệu cũ nhất đang dùng / Oldest source and dataset in use",
    "oldest_source_period": "Kỳ của nguồn cũ nhất / Period of the oldest source",
    "oldest_source_age_days": "Tuổi của nguồn cũ nhất, số ngày tính đến cuối tháng công bố /"
    " Age of the oldest source in days, at the end of the release month",
    "interface_version": "Phiên bản giao diện của các bảng / Version of the marts' interface",
    "summary_vi": "Tóm tắt bằng tiếng Việt / The card in one Vietnamese sentence",
    "summary_en": "Tóm tắt bằng tiếng Anh / The card in one English sentence",
}
ABOUT = "Thẻ thông tin của bản công bố: một dòng / Card of the release: one row"


def card_facts(connection: psycopg.Connection, marts: Iterable[str]) -> dict[str, Any]:
    """What the card says beyond the release's own row, for its manifest."""
    facts: dict[str, Any] = {"interface_version": VERSION}
    labels = columns_of(connection, "candidate", "release_note")
    for language in ("vi", "en"):
        column = f"release_label_{language}"
        if column in labels:
            row = connection.execute(f"select {column} from candidate.release_note").fetchone()
            facts[column] = row[0] if row else None
    if "fct_data_quality" in marts:
        # Of each dataset the newest good data; of those the oldest.
        row = connection.execute(
            """
            select source || '.' || dataset, serving_period, serving_age_days
            from (
                select distinct on (source, dataset) *
                from candidate.fct_data_quality
                where serving_age_days is not null
                order by source, dataset, serving_age_days
            ) as newest
            order by serving_age_days desc, source, dataset
            limit 1
            """
        ).fetchone()
        if row:
            names = ("oldest_source", "oldest_source_period", "oldest_source_age_days")
            facts |= dict(zip(names, row, strict=True))
    return facts


def card_row(source: sql.Composable) -> sql.Composable:
    """The query for the card, from a relation with the columns of `publication.release`."""
    return sql.SQL(
        """
        select
            release_id,
            period as as_of_period,
            published_at,
            array_to_string(data_labels, ', ') as data_labels,
            manifest #>> '{{card,release_label_vi}}' as release_label_vi,
            manifest #>> '{{card,release_label_en}}' as release_label_en,
            manifest #>> '{{card,oldest_source}}' as oldest_source,
            manifest #>> '{{card,oldest_source_period}}' as oldest_source_period,
            (manifest #>> '{{card,oldest_source_age_days}}')::integer as oldest_source_age_days,
            manifest #>> '{{card,interface_version}}' as interface_version,
            {} || release_id || ', số liệu đến ' || period || ', công bố lúc '
            || to_char(published_at at time zone 'Asia/Ho_Chi_Minh', 'HH24:MI DD/MM/YYYY')
            || coalesce('. ' || (manifest #>> '{{card,release_label_vi}}'), '') as summary_vi,
            'Release ' || release_id || ', figures up to ' || period || ', published '
            || to_char(published_at at time zone 'Asia/Ho_Chi_Minh', 'YYYY-MM-DD HH24:MI')
            || ' (Viet Nam)'
            || coalesce('. ' || (manifest #>> '{{card,release_label_en}}'), '') as summary_en
        from {} as r
        """
    ).format(sql.Literal(RELEASE_VI), source)


def write_card(
    connection: psycopg.Connection,
    manifest: Mapping[str, Any],
    published_at: datetime,
    data_labels: list[str],
) -> dict[str, Any]:
    """Create `candidate.release_info`; its rows, sha256 and columns. Readers wait meanwhile."""
    columns, key = ADDED_BY_PUBLISHING[CARD]
    table = sql.Identifier("candidate", CARD)
    connection.execute(
        sql.SQL("create table {} ({}, primary key ({}))").format(
            table,
            sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(type_))
                for name, type_ in columns.items()
            ),
            sql.SQL(", ").join(map(sql.Identifier, key)),
        )
    )
    connection.execute(sql.SQL("comment on table {} is {}").format(table, sql.Literal(ABOUT)))
    for column, text in COMMENTS.items():
        connection.execute(
            sql.SQL("comment on column {} is {}").format(
                sql.Identifier("candidate", CARD, column), sql.Literal(text)
            )
        )
    release = sql.SQL(
        "(select {}::text as release_id, {}::text as period, {}::timestamptz as published_at,"
        " {}::text[] as data_labels, {}::jsonb as manifest)"
    ).format(
        sql.Literal(manifest["release_id"]),
        sql.Literal(manifest["period"]),
        sql.Literal(published_at),
        sql.Literal(data_labels),
        sql.Literal(Jsonb({"card": manifest["card"]})),
    )
    connection.execute(sql.SQL("insert into {} {}").format(table, card_row(release)))
    freeze(connection, "candidate", [CARD])
    return content(connection, "candidate", CARD)


def comment_release(connection: psycopg.Connection, marts: Iterable[str]) -> None:
    """Add the card's sentences to the comment of every table, for tools that show no data."""
    row = connection.execute(
        f"select summary_vi || ' / ' || summary_en from candidate.{CARD}"
    ).fetchone()
    assert row is not None
    for mart in marts:
        found = connection.execute(
            "select obj_description(%s::regclass)", (f'candidate."{mart}"',)
        ).fetchone()
        about = [text for text in (found and found[0], row[0]) if text]
        connection.execute(
            sql.SQL("comment on table {} is {}").format(
                sql.Identifier("candidate", mart), sql.Literal(BETWEEN.join(about))
            )
        )


def comment_without_release(comment: str) -> str:
    """What a published table's comment says of the table, whatever release it is of."""
    about, between, release = comment.rpartition(BETWEEN)
    return about if between and release.startswith(RELEASE_VI) else comment
