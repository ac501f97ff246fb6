"""A period is a month "YYYY-MM" in Asia/Ho_Chi_Minh; its reference date is its last day."""

from __future__ import annotations

import datetime as dt
import re
from zoneinfo import ZoneInfo

TIMEZONE = ZoneInfo("Asia/Ho_Chi_Minh")
MONTH = re.compile(r"^\d{4}-(0[1-9]|1[0-2])$")


def check_period(period: str) -> str:
    """The period itself.

    Raises:
        ValueError: not of the form YYYY-MM.
    """
    if not MONTH.match(period):
        raise ValueError(f"{period!r} is no period; write the month as YYYY-MM, such as 2025-07")
    return period


def start_of(period: str) -> dt.date:
    return dt.date.fromisoformat(f"{check_period(period)}-01")


def end_of(period: str) -> dt.date:
    """Reference date: the last day of the month."""
    first = start_of(period)
    return (first.replace(day=28) + dt.timedelta(days=4)).replace(day=1) - dt.timedelta(days=1)


def due_on(period: str, due_day: int) -> dt.date:
    """Day in the month after the period by which a monthly delivery is due."""
    return (end_of(period) + dt.timedelta(days=1)).replace(day=due_day)


def school_year_of(period: str) -> str:
    """School year of a month, September to August: 2025-06 is in "2024-2025"."""
    first = start_of(period)
    year = first.year if first.month >= 9 else first.year - 1
    return f"{year}-{year + 1}"
