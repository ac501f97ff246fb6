"""The queries behind the charts: the published marts with words in place of codes.

A code becomes words by CASE in the select list, so that what a chart does not ask for is not
computed, and filters on keys and periods reach the marts' own indexes.
"""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import dedent

from loaders.bi.model import Column, Dataset
from loaders.bi.texts import (
    LABELS,
    OUTLOOKS,
    WHOLE,
    breakdown_value_case,
    in_both,
    quoted,
    spoken,
    verdict_texts,
)
from loaders.report import words

KPI = "k.name_vi || ' / ' || k.name_en"
UNIT = (
    f"case when u.unit_level = 'boundary' then {quoted(WHOLE)}"
    " else u.full_name_vi || ' · ' || u.unit_code"
    " || coalesce(' (đến / to ' || to_char(u.valid_to, 'DD/MM/YYYY') || ')', '') end"
)


def _columns(named: Iterable[tuple[str, ...]]) -> tuple[Column, ...]:
    return tuple(Column(*entry) for entry in named)  # type: ignore[arg-type]


def dataset(name: str, title: str, sql: str, columns: Iterable[tuple[str, ...]]) -> Dataset:
    """A dataset from its query and its columns: name, title, kind unless it is text."""
    return Dataset(f"nq42_{name}", title, dedent(sql).strip() + "\n", _columns(columns))


RELEASE = dataset(
    "release",
    "Bản phát hành đang hiển thị / The release that is shown",
    f"""
    select
        (select max(c.release_id) from marts.release_checksum as c) as release_id,
        n.as_of_period,
        case n.release_label_en
            when 'Sample data' then {quoted(LABELS["sample"])} else {quoted(LABELS["real"])}
        end as release_label,
        to_char(n.built_at at time zone 'Asia/Ho_Chi_Minh', 'DD/MM/YYYY HH24:MI') as built_at
    from marts.release_note as n
    """,
    (
        ("release_id", "Bản phát hành / Release"),
        ("as_of_period", "Tính đến kỳ / As of period"),
        ("release_label", "Dữ liệu / Data"),
        ("built_at", "Dựng lúc / Built at"),
    ),
)

SCORECARD = dataset(
    "scorecard",
    "Mỗi chỉ tiêu một dòng cho mỗi nhãn và địa bàn / One row per KPI, label and boundary",
    f"""
    with labels as (
        select distinct s.data_label from marts.scorecard as s where s.data_label is not null
    )
    select
        k.sort_order,
        k.kpi_id,
        {KPI} as kpi,
        {spoken("k.kpi_group", in_both(words.GROUPS))} as kpi_group,
        {spoken("k.state", in_both(words.STATES))} as kpi_state,
        {spoken("k.definition_standing", in_both(words.STANDINGS))} as standing,
        k.definition_vi || ' / ' || k.definition_en as definition,
        k.source_owner_vi as source,
        case when k.unit_vi = k.unit_en then k.unit_vi
            else k.unit_vi || ' / ' || k.unit_en end as unit_of_measure,
        {spoken("labels.data_label", LABELS)} as data_label,
        {spoken("b.boundary", in_both(words.BOUNDARIES))} as boundary,
        s.period,
        round(s.value, coalesce(s.decimals, 2)) as value,
        s.target_value,
        coalesce(s.target_text_vi, '–') || coalesce(' (' || s.target_year || ')', '')
            as target,
        {spoken("coalesce(s.verdict, 'not_available')", verdict_texts())} as verdict,
        case o.outlook
            {
        " ".join(f"when {quoted(code)} then {quoted(text)}" for code, text in OUTLOOKS.items())
    }
        end as outlook,
        o.outlook as outlook_code,
        coalesce(s.caveat_vi, '') as caveat
    from marts.dim_kpi as k
    cross join labels
    cross join (values ('qn_programme'), ('qn_current')) as b (boundary)
    left join marts.scorecard as s
        on k.kpi_id = s.kpi_id and s.data_label = labels.data_label and s.boundary = b.boundary
    cross join lateral (
        select
            case
                when s.value is null then 'no_figure'
                when s.verdict = 'achieved' then 'achieved'
                when s.verdict in ('substantial_progress', 'moderate_progress') then 'on_track'
                when s.verdict in ('limited_progress', 'deterioration') then 'off_track'
                when s.straight_line_verdict = 'achieved' then 'achieved'
                when s.straight_line_verdict = 'on_track' then 'on_track'
                when s.straight_line_verdict = 'behind' then 'off_track'
                else 'not_assessed'
            end as outlook
    ) as o
    """,
    (
        ("sort_order", "STT / No.", "NUMERIC"),
        ("kpi_id", "Mã / Id"),
        ("kpi", "Chỉ tiêu / KPI"),
        ("kpi_group", "Nhóm / Group"),
        ("kpi_state", "Nguồn hình thành / State"),
        ("standing", "Định nghĩa / Standing"),
        ("definition", "Định nghĩa / Definition"),
        ("source", "Cơ quan nguồn / Source"),
        ("unit_of_measure", "Đơn vị tính / Unit"),
        ("data_label", "Nhãn dữ liệu / Data label"),
        ("boundary", "Địa bàn / Boundary"),
        ("period", "Kỳ / Period"),
        ("value", "Giá trị / Value", "NUMERIC"),
        ("target_value", "Mức chỉ tiêu / Target value", "NUMERIC"),
        ("target", "Chỉ tiêu giao / Target"),
        ("verdict", "Kết luận / Verdict"),
        ("outlook", "Tình hình / Outlook"),
        ("outlook_code", "Mã tình hình / Outlook code"),
        ("caveat", "Lưu ý / Note"),
    ),
)

#: A hexagon with the commune's area about its office: the marts hold no outlines.
HEXAGON = """'[' || (
            select string_agg(
                '[' || round((u.longitude + h.metres * cosd(c * 60 + 30)
                    / (111320 * cosd(u.latitude)))::numeric, 5) || ','
                || round((u.latitude + h.metres * sind(c * 60 + 30) / 110574)::numeric, 5)
                || ']', ',' order by c)
            from generate_series(0, 6) as c,
                (select 540 * sqrt(coalesce(u.area_km2, 60)) as metres) as h
        ) || ']'"""

VALUES = dataset(
    "kpi_values",
    "Mọi giá trị đã công bố / Every published figure",
    f"""
    select
        v.kpi_id,
        {KPI} as kpi,
        {spoken("v.data_label", LABELS)} as data_label,
        {spoken("v.boundary", in_both(words.BOUNDARIES))} as boundary,
        {spoken("v.series", in_both(words.SERIES))} as series,
        v.period,
        p.ends_on,
        v.unit_level,
        v.unit_code,
        {UNIT} as unit,
        v.breakdown,
        {spoken("v.breakdown", {"total": "Chung / Total"} | in_both(words.BREAKDOWNS))}
            as breakdown_name,
        {breakdown_value_case()} as breakdown_value,
        v.numerator,
        v.denominator,
        round(v.value, coalesce(k.decimals, 2)) as value,
        v.is_suppressed,
        {spoken("v.maturity", in_both(words.MATURITIES))} as maturity,
        s.target_value,
        {
        spoken(
            '''(
            select d.verdict from marts.fct_kpi_verdict as d
            where d.kpi_id = v.kpi_id and d.data_label = v.data_label and d.series = v.series
                and d.boundary = v.boundary and d.unit_id = v.unit_id and d.period = v.period
        )''',
            verdict_texts(),
            quoted("–"),
        )
    } as verdict,
        case when u.latitude is not null then {HEXAGON} end as shape
    from marts.fct_kpi_value as v
    inner join marts.dim_kpi as k on v.kpi_id = k.kpi_id
    inner join marts.dim_unit as u on v.unit_id = u.unit_id
    inner join marts.dim_period as p on v.period = p.period
    left join marts.scorecard as s
        on v.kpi_id = s.kpi_id and v.data_label = s.data_label and v.boundary = s.boundary
    """,
    (
        ("kpi_id", "Mã / Id"),
        ("kpi", "Chỉ tiêu / KPI"),
        ("data_label", "Nhãn dữ liệu / Data label"),
        ("boundary", "Địa bàn / Boundary"),
        ("series", "Chuỗi số liệu / Series"),
        ("period", "Kỳ / Period"),
        ("ends_on", "Cuối kỳ / End of period", "DATE"),
        ("unit_level", "Cấp / Level"),
        ("unit_code", "Mã đơn vị / Unit code"),
        ("unit", "Đơn vị / Unit"),
        ("breakdown", "Mã phân tổ / Breakdown code"),
        ("breakdown_name", "Phân tổ / Breakdown"),
        ("breakdown_value", "Giá trị phân tổ / Breakdown value"),
        ("numerator", "Tử số / Numerator", "NUMERIC"),
        ("denominator", "Mẫu số / Denominator", "NUMERIC"),
        ("value", "Giá trị / Value", "NUMERIC"),
        ("is_suppressed", "Bảo mật / Suppressed", "BOOLEAN"),
        ("maturity", "Mức hoàn thiện / Maturity"),
        ("target_value", "Mức chỉ tiêu / Target", "NUMERIC"),
        ("verdict", "Kết luận / Verdict"),
        ("shape", "Hình / Shape"),
    ),
)

SERIES = dataset(
    "series",
    "Chuỗi số liệu của mỗi chỉ tiêu / Series of each KPI",
    f"""
    select
        {KPI} as kpi,
        {spoken("d.data_label", LABELS)} as data_label,
        {spoken("d.boundary", in_both(words.BOUNDARIES))} as boundary,
        {spoken("d.series", in_both(words.SERIES))} as series
    from marts.fct_kpi_verdict as d
    inner join marts.dim_kpi as k on d.kpi_id = k.kpi_id
    where d.unit_level = 'boundary'
    """,
    (
        ("kpi", "Chỉ tiêu / KPI"),
        ("data_label", "Nhãn dữ liệu / Data label"),
        ("boundary", "Địa bàn / Boundary"),
        ("series", "Chuỗi số liệu / Series"),
    ),
)

PERIODS = dataset(
    "periods",
    "Kỳ có số liệu của mỗi chỉ tiêu / Periods with figures of each KPI",
    f"""
    select
        {KPI} as kpi,
        {spoken("c.data_label", LABELS)} as data_label,
        {spoken("c.boundary", in_both(words.BOUNDARIES))} as boundary,
        {spoken("c.series", in_both(words.SERIES))} as series,
        c.period
    from (
        -- Where communes have figures; and of every series at least its latest period.
        -- A period may come twice: removing that here would read every KPI's.
        select kpi_id, data_label, boundary, series, period from marts.fct_kpi_gap
        union all
        select kpi_id, data_label, boundary, series, period from marts.fct_kpi_verdict
        where unit_level = 'boundary'
    ) as c
    inner join marts.dim_kpi as k on c.kpi_id = k.kpi_id
    """,
    (
        ("kpi", "Chỉ tiêu / KPI"),
        ("data_label", "Nhãn dữ liệu / Data label"),
        ("boundary", "Địa bàn / Boundary"),
        ("series", "Chuỗi số liệu / Series"),
        ("period", "Kỳ / Period"),
    ),
)

UNITS = dataset(
    "units",
    "Đơn vị có thể chọn / Units to choose from",
    f"""
    select
        {UNIT} as unit,
        case when u.unit_level = 'boundary' then '0' else u.sort_key end as sort_key
    from marts.dim_unit as u
    where u.unit_level in ('boundary', 'commune')
    """,
    (("unit", "Đơn vị / Unit"), ("sort_key", "Thứ tự / Order")),
)
