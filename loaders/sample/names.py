"""Vietnamese names of invented people; the lists are common names, combined at random."""

from __future__ import annotations

import numpy as np
import polars as pl


def _words(text: str) -> list[str]:
    return text.split()


SURNAMES_KINH = _words(
    "Nguyễn Trần Lê Phạm Huỳnh Võ Phan Bùi Đặng Đỗ Ngô Hồ Dương Trương Đinh Lý Đoàn Tạ Mai Cao "
    "Lâm Từ Tôn Thái Châu Tiêu"
)
#: Household names by ethnic group.
SURNAMES_GROUP = {
    "03": _words("Lò Quàng Cà Lường Hà Vi"),
    "06": _words("Bùi Quách Đinh Hà Trương"),
    "10": _words("Rơ-châm Ksor Siu Rmah Puih"),
    "19": _words("Phạm Đinh"),
    "30": _words("Hồ"),
}
MIDDLE = {
    1: _words("Văn Hữu Đức Minh Quốc Thanh Tấn Ngọc Công Xuân Gia Anh Thành Đình"),
    2: _words("Thị Thị Thị Ngọc Thanh Kim Thu Mỹ Bảo Phương Như Hoài Khánh"),
}
GIVEN = {
    1: _words(
        "An Bảo Bình Công Cường Dũng Duy Dương Đạt Đức Hải Hậu Hiếu Hoà Hoàng Hùng Huy Khang "
        "Khánh Khoa Kiên Lâm Long Lộc Lực Minh Nam Nghĩa Nhân Phong Phú Phúc Quân Quang Quý Sơn "
        "Tài Tâm Thắng Thành Thiện Thịnh Thông Tiến Toàn Trí Trung Tuấn Tùng Vinh Vũ"
    ),
    2: _words(
        "An Anh Bích Chi Diễm Dung Duyên Giang Hà Hạnh Hằng Hiền Hoa Hồng Huệ Hương Khuê Lan "
        "Lành Liên Linh Loan Ly Mai My Nga Ngân Ngọc Nguyệt Nhi Nhung Oanh Phương Quyên Quỳnh "
        "Sương Tâm Thảo Thanh Thoa Thu Thuý Thư Trang Trinh Trúc Tuyết Vân Vy Xuân Yến"
    ),
}
#: Groups whose men are named "A" and women "Y" before the given name.
HIGHLAND_NAMES = {"13", "14", "27", "52", "54"}


def full_names(
    ethnic: np.ndarray, sex: np.ndarray, family: np.ndarray, middle: np.ndarray, given: np.ndarray
) -> pl.Series:
    """Names of people.

    Args:
        ethnic: two-digit group code; sex: 1 or 2.
        family, middle, given: random integers that choose; ``family`` is one per household.
    """
    forms: list[str] = []
    index = np.zeros(len(sex), dtype=np.int32)
    highland = np.isin(ethnic, list(HIGHLAND_NAMES))
    for code in (1, 2):
        of_sex = sex == code
        for group in [None, *SURNAMES_GROUP]:
            surnames = SURNAMES_KINH if group is None else SURNAMES_GROUP[group]
            others = ~highland & ~np.isin(ethnic, list(SURNAMES_GROUP))
            chosen = of_sex & (others if group is None else ethnic == group)
            fronts = [f"{s} {m}" for s in surnames for m in MIDDLE[code]]
            start, width = len(forms), len(MIDDLE[code])
            forms += fronts
            index[chosen] = (
                start + (family[chosen] % len(surnames)) * width + middle[chosen] % width
            )
        index[of_sex & highland] = len(forms)
        forms.append("A" if code == 1 else "Y")
    names = GIVEN[1] + GIVEN[2]
    last = np.where(sex == 1, given % len(GIVEN[1]), len(GIVEN[1]) + given % len(GIVEN[2]))
    front = pl.Series("front", forms).gather(index)
    end = pl.Series("end", names).gather(last)
    return pl.DataFrame([front, end]).select(
        full_name=pl.concat_str("front", "end", separator=" ")
    )["full_name"]
