"""Words in place of codes, as SQL: those of the reports, so that a code has one name everywhere."""

from __future__ import annotations

from collections.abc import Mapping

from loaders.contracts.model import load_contracts
from loaders.report import words

#: The boundary as a whole, in the list of its units: of each boundary the same words.
WHOLE = "Toàn địa bàn / Whole boundary"
LABELS = {
    "real": "Số liệu thực tế / Real data",
    "sample": "DỮ LIỆU MẪU / SAMPLE DATA",
}
#: What became of a KPI, in five words; the sign in front keeps them apart without colour.
OUTLOOKS = {
    "achieved": "✓ Đạt / Achieved",
    "on_track": "→ Đúng hướng / On track",
    "off_track": "↓ Chậm / Off track",
    "not_assessed": "? Chưa đánh giá / Not assessed",
    "no_figure": "– Chưa có số / No figure",
}
TASK_STATUSES = {
    "not_started": "Chưa thực hiện / Not started",
    "in_progress": "Đang thực hiện / In progress",
    "done": "✓ Hoàn thành / Done",
    "late": "↓ Chậm / Late",
    "not_reported": "? Chưa báo cáo / Not reported",
}


def quoted(text: str) -> str:
    """A text constant of SQL."""
    return "'" + text.replace("'", "''") + "'"


def both(text: words.Text) -> str:
    """Vietnamese first, English second; once where both are the same."""
    return text.vi if text.vi == text.en else f"{text.vi} / {text.en}"


def spoken(code: str, texts: Mapping[str, str], otherwise: str | None = None) -> str:
    """A CASE from codes to words; a code without words speaks for itself."""
    cases = " ".join(f"when {quoted(key)} then {quoted(text)}" for key, text in texts.items())
    return f"case {code} {cases} else {otherwise or code} end"


def in_both(table: Mapping[str, words.Text]) -> dict[str, str]:
    """Code → words in both languages."""
    return {code: both(text) for code, text in table.items()}


def verdict_texts() -> dict[str, str]:
    """Verdict → sign and words."""
    return {code: f"{v.sign} {v.vi} / {v.en}" for code, v in words.VERDICTS.items()}


def status_texts() -> dict[str, str]:
    """Status of a batch → sign and words."""
    return {code: f"{v.sign} {v.vi} / {v.en}" for code, v in words.STATUSES.items()}


def breakdown_value_case() -> str:
    """The CASE that names the value of a breakdown of the row `v`."""
    ages = (
        "case when {v} like '%+' then 'Từ ' || rtrim({v}, '+') || ' tuổi / ' || rtrim({v}, '+')"
        " || ' or older' else replace({v}, '-', '–') || ' tuổi / years' end"
    ).format(v="v.breakdown_value")
    ethnic = spoken("v.breakdown_value", in_both(words.ETHNIC_GROUPS))
    other = spoken(
        "v.breakdown_value", {"total": "Chung / Total"} | in_both(words.BREAKDOWN_VALUES)
    )
    return (
        f"case v.breakdown when 'age_group' then {ages}"
        f" when 'ethnic_group' then {ethnic} else {other} end"
    )


def source_titles() -> dict[str, str]:
    """Source → its title in its contract."""
    return {c.source: both(words.Text(c.title_vi, c.title_en)) for c in load_contracts()}


def short_source_titles() -> dict[str, str]:
    """Source → its title, short enough for the axis of a chart."""
    return {
        source: title.replace("Department of ", "")
        .replace(" and ", " & ")
        .replace("Cơ sở dữ liệu", "CSDL")
        for source, title in source_titles().items()
    }


def dataset_titles() -> dict[str, str]:
    """source.dataset → its title in its contract."""
    return {
        f"{contract.source}.{dataset.name}": both(words.Text(dataset.title_vi, dataset.title_en))
        for contract in load_contracts()
        for dataset in contract.datasets
    }
