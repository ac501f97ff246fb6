"""The words, numbers and dates of the report: Vietnamese first, English second."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

LOCAL_TIME = ZoneInfo("Asia/Ho_Chi_Minh")
NBSP = "\N{NO-BREAK SPACE}"
NOTHING = "–"


class Text(NamedTuple):
    """One text in both languages."""

    vi: str
    en: str


class Verdict(NamedTuple):
    """A verdict in words, and the sign that stands beside them (never alone)."""

    sign: str
    vi: str
    en: str
    tone: str


VERDICTS = {
    "achieved": Verdict("✓", "Đạt chỉ tiêu", "Achieved", "good"),
    "substantial_progress": Verdict("●●●", "Tiến bộ rõ rệt", "Substantial progress", "good"),
    "moderate_progress": Verdict("●●○", "Tiến bộ vừa phải", "Moderate progress", "fair"),
    "limited_progress": Verdict("●○○", "Tiến bộ hạn chế", "Limited progress", "weak"),
    "deterioration": Verdict("✕", "Xấu đi", "Deterioration", "bad"),
    "not_available": Verdict("–", "Chưa đánh giá được", "Not assessed", "none"),
}
STRAIGHT_LINE = {
    "achieved": Verdict("✓", "đã đạt", "achieved", "good"),
    "on_track": Verdict("→", "đúng tiến độ", "on track", "good"),
    "behind": Verdict("↓", "chậm tiến độ", "behind", "bad"),
    "not_available": Verdict("–", "chưa xác định", "not available", "none"),
}
STATES = {
    "computed": Text("Tính từ hồ sơ", "Computed from records"),
    "delivered": Text("Cơ quan cung cấp", "Delivered by the agency"),
    "no_source": Text("Chưa có nguồn", "No source"),
    "qualitative": Text("Định tính", "Qualitative"),
}
STANDINGS = {
    "proven": Text("đã chứng minh", "proven"),
    "secondary": Text("theo nguồn thứ cấp", "from a secondary source"),
    "unverified": Text("chưa kiểm chứng", "unverified"),
}
LABELS = {
    "real": Text("Số liệu thực tế", "Real figures"),
    "sample": Text("Số liệu mẫu", "Sample figures"),
}
SHORT_LABELS = {"real": "thực tế", "sample": "mẫu"}
SAMPLE_LINE = "DỮ LIỆU MẪU / SAMPLE DATA"
GROUPS = {
    "social_assistance": Text("Người có công và trợ giúp xã hội", "Merit and social assistance"),
    "labour": Text("Lao động, việc làm", "Labour and employment"),
    "social_insurance": Text("Bảo hiểm xã hội", "Social insurance"),
    "education": Text("Giáo dục và đào tạo", "Education and training"),
    "population": Text("Dân số", "Population"),
    "health": Text("Y tế, chăm sóc sức khỏe", "Health care"),
    "health_insurance": Text("Bảo hiểm y tế", "Health insurance"),
    "statistics": Text("Phát triển chung", "General development"),
    "housing": Text("Nhà ở", "Housing"),
    "water_sanitation": Text("Nước sạch và vệ sinh", "Water and sanitation"),
    "culture_information": Text("Văn hóa, thông tin", "Culture and information"),
    "poverty": Text("Giảm nghèo", "Poverty"),
    "digital": Text("Chuyển đổi số", "Digital services"),
}
BOUNDARIES = {
    "qn_programme": Text("Địa giới chương trình", "Programme boundary"),
    "qn_current": Text("Tỉnh hiện nay", "Province of today"),
    "reference": Text("Tham chiếu", "Reference"),
}
SHORT_BOUNDARIES = {
    "qn_programme": Text("Chương trình", "Programme"),
    "qn_current": Text("Hiện nay", "Today"),
}
BREAKDOWNS = {
    "sex": Text("Giới tính", "Sex"),
    "age_group": Text("Nhóm tuổi", "Age group"),
    "urban_rural": Text("Thành thị, nông thôn", "Urban and rural"),
    "zone": Text("Vùng", "Zone"),
    "household_group": Text("Nhóm hộ", "Household group"),
    "ethnic_group": Text("Dân tộc", "Ethnic group"),
    "poverty_class": Text("Hộ nghèo, cận nghèo", "Poor and near-poor"),
    "scheme": Text("Hình thức tham gia", "Scheme"),
    "category": Text("Loại", "Kind"),
    "level": Text("Cấp", "Level"),
}
BREAKDOWN_VALUES = {
    "male": Text("Nam", "Male"),
    "female": Text("Nữ", "Female"),
    "urban": Text("Thành thị", "Urban"),
    "rural": Text("Nông thôn", "Rural"),
    "plain": Text("Đồng bằng", "Plain"),
    "mountain": Text("Miền núi", "Mountain"),
    "island": Text("Hải đảo", "Island"),
    "NCC": Text("Người có công", "People with merit"),
    "HN": Text("Hộ nghèo", "Poor household"),
    "HCN": Text("Hộ cận nghèo", "Near-poor household"),
    "KHAC": Text("Hộ khác", "Other household"),
    "station": Text("Trạm y tế", "Health station"),
    "point": Text("Điểm trạm", "Station point"),
    "preschool": Text("Mầm non", "Preschool"),
    "primary": Text("Tiểu học", "Primary"),
    "lower_secondary": Text("Trung học cơ sở", "Lower secondary"),
    "upper_secondary": Text("Trung học phổ thông", "Upper secondary"),
    "province": Text("Cấp tỉnh", "Province"),
    "district": Text("Cấp huyện", "District"),
    "commune": Text("Cấp xã", "Commune"),
    "TE36": Text("Trẻ em dưới 36 tháng", "Children under 36 months"),
    "PNMT": Text("Phụ nữ mang thai", "Pregnant women"),
    "NCT": Text("Người cao tuổi cô đơn", "Lonely elderly"),
    "NCT80": Text("Từ 80 tuổi không có lương hưu", "80 and older without a pension"),
    "KT": Text("Người khuyết tật", "People with disabilities"),
    "KNLD": Text("Hộ không có khả năng lao động", "Households unable to work"),
    "several": Text("Nhiều chế độ", "Several schemes"),
    "assistance": Text("Trợ giúp xã hội", "Social assistance"),
    "social_pension": Text("Trợ cấp hưu trí xã hội", "Social pension"),
    "merit": Text("Người có công", "People with merit"),
    "for_sale": Text("Để bán", "For sale"),
    "for_rent": Text("Cho thuê", "For rent"),
    "rent_to_buy": Text("Cho thuê mua", "Rent to buy"),
    "workers_lodging": Text("Nhà lưu trú công nhân", "Workers' lodging"),
    "house": Text("Nhà ở riêng lẻ", "House"),
    "flat": Text("Nhà chung cư", "Flat"),
}
#: The State's list of ethnic groups: those who live in the province in some number.
ETHNIC_GROUPS = {
    code: Text(name, name)
    for code, name in (
        ("01", "Kinh"),
        ("02", "Tày"),
        ("03", "Thái"),
        ("06", "Mường"),
        ("07", "Nùng"),
        ("10", "Gia-rai"),
        ("13", "Ba-na"),
        ("14", "Xơ-đăng"),
        ("19", "Hrê"),
        ("27", "Gié-Triêng"),
        ("30", "Co"),
        ("52", "Brâu"),
        ("54", "Rơ-măm"),
    )
}
MATURITIES = {
    "provisional": Text("sơ bộ", "provisional"),
    "final": Text("chính thức", "final"),
}
SERIES = {
    "total": Text("Chung", "Total"),
    "published": Text("Số công bố", "Published figures"),
    "persons": Text("Số người", "Persons"),
    "amount": Text("Số tiền", "Amount"),
    "districts": Text("Theo huyện", "Districts"),
    "communes": Text("Theo xã", "Communes"),
    "thcs": Text("Tốt nghiệp trung học cơ sở", "Lower-secondary graduates"),
    "thpt": Text("Tốt nghiệp trung học phổ thông", "Upper-secondary graduates"),
    "status": Text("Quyết định công nhận", "Recognised by decision"),
    "programme_wording": Text("Theo lời văn chương trình", "Wording of the programme"),
    "decree_20_2021": Text("Theo Nghị định 20/2021", "As Decree 20/2021 covers"),
    "poor_2026_2030": Text("Nghèo, chuẩn 2026–2030", "Poor, standard 2026–2030"),
    "near_poor_2026_2030": Text("Cận nghèo, chuẩn 2026–2030", "Near-poor, standard 2026–2030"),
    "poor_and_near_poor_2026_2030": Text(
        "Nghèo và cận nghèo, chuẩn 2026–2030", "Poor and near-poor, standard 2026–2030"
    ),
    "working_age": Text("Trong độ tuổi lao động", "Working age"),
    "age_15_plus": Text("Từ 15 tuổi trở lên", "15 or older"),
    "nso": Text("Cơ quan thống kê", "Statistics office"),
    "undp": Text("UNDP", "UNDP"),
    "wdi": Text("Ngân hàng Thế giới", "World Bank"),
    "poor_2011_2015": Text("Nghèo, chuẩn 2011–2015", "Poor, standard 2011–2015"),
    "poor_2016_2020": Text("Nghèo, chuẩn 2016–2020", "Poor, standard 2016–2020"),
    "poor_2021_2025": Text("Nghèo, chuẩn 2021–2025", "Poor, standard 2021–2025"),
    "near_poor_2021_2025": Text("Cận nghèo, chuẩn 2021–2025", "Near-poor, standard 2021–2025"),
    "poor_and_near_poor_2021_2025": Text(
        "Nghèo và cận nghèo, chuẩn 2021–2025", "Poor and near-poor, standard 2021–2025"
    ),
}
CHANGES = {
    "new": Text("mới", "new"),
    "revised": Text("điều chỉnh", "revised"),
    "withdrawn": Text("rút lại", "withdrawn"),
}
CAUSES = {
    "new_data": Text("dữ liệu mới", "new data"),
    "restated_file": Text("cơ quan gửi lại tệp", "file sent again"),
    "corrected_file": Text("tệp được đính chính", "file corrected"),
    "rule_change": Text("quy tắc kiểm tra thay đổi", "checking rules changed"),
    "denominator_vintage": Text("mẫu số được cập nhật", "denominator updated"),
    "definition": Text("cách tính thay đổi", "definition changed"),
    "boundary": Text("địa giới thay đổi", "boundary changed"),
    "disclosure_protection": Text("bảo mật số ít người", "disclosure protection"),
    "maturity": Text("từ sơ bộ sang chính thức hoặc ngược lại", "maturity changed"),
    "caveat": Text("lưu ý thay đổi", "caveat changed"),
    "not_computed": Text("không còn được tính", "no longer computed"),
    "new_period": Text("có kỳ số liệu mới", "new period"),
    "target": Text("chỉ tiêu thay đổi", "target changed"),
    "method": Text("phương pháp đánh giá thay đổi", "method of assessment changed"),
    "deadline_passed": Text("hết hạn thực hiện chỉ tiêu", "deadline passed"),
    "unexplained": Text("chưa rõ nguyên nhân, cần kiểm tra", "no recorded cause, to be examined"),
}
STATUSES = {
    "accepted": Verdict("✓", "đã nhận", "accepted", "good"),
    "held": Verdict("✕", "bị giữ lại", "held", "bad"),
    "refused": Verdict("✕", "bị từ chối", "refused", "bad"),
    "missing": Verdict("!", "chưa nhận được", "missing", "bad"),
    "landed": Verdict("…", "đã lưu tệp", "landed", "weak"),
    "loaded": Verdict("…", "đã đọc, chưa kiểm tra", "loaded, not judged yet", "weak"),
}
SEVERITIES = {
    "critical": Text("nghiêm trọng", "critical"),
    "warning": Text("cảnh báo", "warning"),
    "info": Text("thông tin", "information"),
}
DIMENSIONS = {
    "accuracy": Text("Chính xác", "Accuracy"),
    "completeness": Text("Đầy đủ", "Completeness"),
    "uniqueness": Text("Duy nhất", "Uniqueness"),
    "consistency": Text("Nhất quán", "Consistency"),
    "timeliness": Text("Kịp thời", "Timeliness"),
    "validity": Text("Hợp lệ", "Validity"),
}
RULE_RESULTS = {
    "pass": Verdict("✓", "đạt", "pass", "good"),
    "fail": Verdict("✕", "không đạt", "fail", "bad"),
    "error": Verdict("!", "không chạy được", "did not run", "bad"),
}
EVENTS = {
    "gate.release.passed": Text("Cổng phát hành: cho qua", "Release gate: passed"),
    "gate.release.waiting": Text("Cổng phát hành: chờ phê duyệt", "Release gate: waiting"),
    "gate.release.held": Text("Cổng phát hành: giữ lại", "Release gate: held"),
    "approved": Text("Đã phê duyệt", "Approved"),
    "rejected": Text("Đã từ chối", "Rejected"),
}
READMISSIONS = {
    "correction": Text("đính chính trong tệp sửa lỗi", "correction file"),
    "restatement": Text("cơ quan gửi lại tệp", "file sent again"),
    "rule_change": Text("quy tắc kiểm tra thay đổi", "checking rules changed"),
}
# A unit of measure that is not printed behind the figure, or is printed shorter.
SHORT_UNITS = {
    "căn, lũy kế": "căn",
    "trạng thái": "",
    "chỉ số 0–1": "",
    "% số xã": "%",
    "% số đơn vị": "%",
    "% so với cả nước": "%",
    "trên 10.000 dân": "/vạn dân",
}


def text_of(words: Mapping[str, Text], key: str | None) -> Text:
    """The words for a code; a code without words speaks for itself."""
    if key is None:
        return Text(NOTHING, NOTHING)
    return words.get(key) or Text(key, key)


def verdict_of(words: Mapping[str, Verdict], key: str | None) -> Verdict:
    """The verdict for a code; one that is not known is shown as it is, without a tone."""
    if key is None:
        return words.get("not_available") or Verdict("–", NOTHING, NOTHING, "none")
    return words.get(key) or Verdict("?", key, key, "none")


def breakdown_value_text(breakdown: str, value: str) -> Text:
    if breakdown == "age_group":
        ages = value.replace("-", "–")
        if value.endswith("+"):
            return Text(f"Từ {value[:-1]} tuổi", f"{value[:-1]} or older")
        return Text(f"{ages} tuổi", f"{ages} years")
    return text_of(ETHNIC_GROUPS if breakdown == "ethnic_group" else BREAKDOWN_VALUES, value)


def number(value: Decimal | float | int | None, decimals: int = 0) -> str:
    """A number as Vietnamese prints it: 1.234,5; an en dash for no number."""
    if value is None:
        return NOTHING
    exact = value if isinstance(value, Decimal) else Decimal(str(value))
    if not exact.is_finite():
        return NOTHING
    rounded = exact.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    printed = f"{abs(rounded):,.{decimals}f}".translate(str.maketrans(",.", ".,"))
    return f"\N{MINUS SIGN}{printed}" if rounded < 0 else printed


def shortest(value: Decimal | float | None, decimals: int = 10) -> str:
    """A target as it was set: no zeros behind the comma."""
    printed = number(value, decimals)
    return printed.rstrip("0").rstrip(",") if "," in printed else printed


def quantity(value: Decimal | float | None, decimals: int, unit: str | None) -> str:
    """A number with its unit."""
    return _with_unit(number(value, decimals), unit) if value is not None else NOTHING


def short_number(value: Decimal | float | int, decimals: int) -> str:
    """A number for a drawing: from ten million on in millions or billions (triệu, tỷ)."""
    exact = Decimal(str(value))
    size, name = size_of(exact)
    return f"{shortest(exact / size, 2)}{NBSP}{name}" if name else number(exact, decimals)


def size_of(value: Decimal | float) -> tuple[int, str]:
    """The unit in which a number of this size is short to print, and its name."""
    for least, size, name in ((10**9, 10**9, "tỷ"), (10**7, 10**6, "triệu")):
        if abs(value) >= least:
            return size, name
    return 1, ""


def signed(value: Decimal, decimals: int) -> str:
    """A difference with its sign, also where it is an increase."""
    printed = number(value, decimals)
    return f"+{printed}" if value > 0 and printed.strip("0,") else printed


def decimals_beside(
    value: Decimal | float | None, decimals: int, targets: Iterable[Decimal | float | None]
) -> int:
    """Enough decimals that a figure which misses a target is not printed as the target."""
    if value is None:
        return decimals
    exact = Decimal(str(value))
    for target in targets:
        if target is None or exact == Decimal(str(target)):
            continue
        while decimals < 10 and number(exact, decimals) == number(target, decimals):
            decimals += 1
    return decimals


def _with_unit(printed: str, unit: str | None) -> str:
    short = SHORT_UNITS.get(unit or "", unit or "")
    if not short or short.startswith("/"):
        return f"{printed}{short}"
    return f"{printed}{NBSP}{short}"


def target_text(target: Mapping[str, Any] | None, unit: str | None) -> str:
    """The target with its operator: "< 2 %" is not "≤ 2 %"; the wording alone without a number.

    `target` has operator, target_value and, for a band, target_low and target_high.
    """
    if target is None or not target["operator"]:
        return NOTHING
    operator, value = target["operator"], target.get("target_value")
    low, high = target.get("target_low"), target.get("target_high")
    if operator in ("between", "about") and low is not None and high is not None:
        return _with_unit(f"{shortest(low)}–{shortest(high)}", unit)
    words = {"decrease": "giảm", "increase": "tăng", "status": "được công nhận"}
    if operator in words:
        return words[operator]
    if value is None:
        return NOTHING
    sign = {"<=": "≤", ">=": "≥", "about": "≈"}.get(operator, operator)
    return _with_unit(f"{sign}{NBSP}{shortest(value)}", unit)


def day(value: date | datetime | None) -> str:
    """dd/MM/yyyy, in Vietnam's time."""
    if value is None:
        return NOTHING
    if isinstance(value, datetime):
        value = value.astimezone(LOCAL_TIME)
    return value.strftime("%d/%m/%Y")


def moment(value: datetime | None) -> str:
    """dd/MM/yyyy HH:mm, in Vietnam's time."""
    return value.astimezone(LOCAL_TIME).strftime("%d/%m/%Y %H:%M") if value else NOTHING


def period(value: str | None) -> str:
    """A period as short as possible: 06/2025, Q3/2024, 2024."""
    if value is None:
        return NOTHING
    head, _, tail = value.partition("-")
    if tail and len(tail) < 4:
        return f"{tail}/{head}"
    return f"{head}–{tail}" if tail else head


def calendar_year(year_decimal: Decimal | float | None) -> str:
    """The year in which a decimal year falls: the end of 2030 is 2031.0."""
    if year_decimal is None:
        return NOTHING
    return str(math.ceil(round(float(year_decimal), 6)) - 1)
