"""Periods in Asia/Ho_Chi_Minh: months "2025-07", quarters "2025-Q2" and years "2025".

A delivery carries the period that it describes; the reference date is the period's last day. A
quarter or a year belongs to the month that ends it: with that month it is delivered and computed.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Literal
from zoneinfo import ZoneInfo

TIMEZONE = ZoneInfo("Asia/Ho_Chi_Minh")
MONTH = re.compile(r"^\d{4}-(0[1-9]|1[0-2])$")
PERIOD = re.compile(r"^\d{4}(-(0[1-9]|1[0-2])|-Q[1-4])?$")

Frequency = Literal["monthly", "quarterly", "annual"]


def check_month(period: str) -> str:
    """The month itself.

    Raises:
        ValueError: not of the form YYYY-MM.
    """
    if not MONTH.match(period):
        raise ValueError(f"{period!r} is no month; write it as YYYY-MM, such as 2025-07")
    return period


def check_period(period: str) -> str:
    """The period itself.

    Raises:
        ValueError: neither a month, a quarter nor a year.
    """
    if not PERIOD.match(period):
        raise ValueError(
            f"{period!r} is no period; write a month as 2025-07, a quarter as 2025-Q2, "
            "a year as 2025"
        )
    return period


def months_of(period: str) -> tuple[str, str]:
    """First and last month of a period."""
    check_period(period)
    year, _, part = period.partition("-")
    if not part:
        return f"{year}-01", f"{year}-12"
    if part.startswith("Q"):
        last = int(part[1]) * 3
        return f"{year}-{last - 2:02d}", f"{year}-{last:02d}"
    return period, period


def start_of(period: str) -> dt.date:
    return dt.date.fromisoformat(f"{months_of(period)[0]}-01")


def end_of(period: str) -> dt.date:
    """Reference date: the last day of the period."""
    last = dt.date.fromisoformat(f"{months_of(period)[1]}-28")
    return (last + dt.timedelta(days=4)).replace(day=1) - dt.timedelta(days=1)


def period_in(frequency: Frequency, month: str) -> str | None:
    """The period of this frequency that ends with the month; None where none does.

    "annual" in 2025-12 is "2025", in any other month of the year None.
    """
    year, number = check_month(month)[:4], int(month[5:])
    if frequency == "monthly":
        return month
    if frequency == "quarterly":
        return f"{year}-Q{number // 3}" if number % 3 == 0 else None
    return year if number == 12 else None


def school_year_of(period: str) -> str:
    """School year of a period's last month, September to August: 2025-06 is in "2024-2025"."""
    last = end_of(period)
    year = last.year if last.month >= 9 else last.year - 1
    return f"{year}-{year + 1}"
