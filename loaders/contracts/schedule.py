"""When a source is asked, and until when each of its datasets is waited for."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator, model_validator

from loaders.contracts.cells import Strict
from loaders.periods import TIMEZONE, Frequency, check_period, end_of

_MONTHLY = re.compile(r"^[0-5]?\d ([01]?\d|2[0-3]) (0?[1-9]|1\d|2[0-8]) \* \*$")


def _check_monthly(cron: str) -> str:
    if not _MONTHLY.match(cron):
        raise ValueError(
            "a source is asked every month, also for yearly lists: write 'minute hour day * *' "
            "with a day from 1 to 28"
        )
    return cron


#: A release waits until every source has concluded the month, so every source has to be asked.
MonthlyCron = Annotated[str, AfterValidator(_check_monthly)]

#: Days of grace and of waiting after the due day: what is rarer may take longer.
WAITS = {
    "monthly": {"grace_days": 1, "wait_days": 10},
    "quarterly": {"grace_days": 3, "wait_days": 20},
    "annual": {"grace_days": 5, "wait_days": 45},
}


class Schedule(Strict):
    """The calendar of a dataset, in days after the end of its period, in Asia/Ho_Chi_Minh.

    It is due by day ``due_day`` of the month after the period, late when it is not there at the end
    of day ``due_day + grace_days``, and no longer waited for after day ``due_day + wait_days``.

    ``first_period``: nothing is expected before it, such as a benefit that a law brought in.
    """

    frequency: Frequency
    due_day: int = Field(ge=1, le=28)
    #: Where a contract says nothing, those of the frequency: `WAITS`.
    grace_days: int = Field(ge=0, le=28)
    wait_days: int = Field(ge=0, le=90)
    first_period: str | None = None

    @field_validator("first_period")
    @classmethod
    def _is_period(cls, period: str | None) -> str | None:
        return check_period(period) if period is not None else None

    @model_validator(mode="before")
    @classmethod
    def _waits_by_frequency(cls, given: Any) -> Any:
        waits = WAITS.get(given.get("frequency")) if isinstance(given, dict) else None
        return {**waits, **given} if waits else given

    @model_validator(mode="after")
    def _late_before_given_up(self) -> Schedule:
        if self.wait_days < self.grace_days:
            raise ValueError("'wait_days' may not end before 'grace_days'")
        return self

    def due_on(self, period: str) -> dt.date:
        """Last day on which a delivery of the period is in time."""
        return end_of(period) + dt.timedelta(days=self.due_day)

    def late_at(self, period: str) -> dt.datetime:
        """The midnight from which a delivery that is not there is late, grace included."""
        return _end_of_day(self.due_on(period) + dt.timedelta(days=self.grace_days))

    def given_up_at(self, period: str) -> dt.datetime:
        """The midnight from which a delivery is no longer waited for."""
        return _end_of_day(self.due_on(period) + dt.timedelta(days=self.wait_days))


def _end_of_day(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), TIMEZONE)
