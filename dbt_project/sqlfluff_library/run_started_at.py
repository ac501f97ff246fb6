"""dbt's `run_started_at`: a fixed moment."""

from datetime import datetime, tzinfo


def astimezone(zone: tzinfo) -> datetime:
    """The fixed moment in a time zone."""
    return datetime(2025, 7, 1, tzinfo=zone)
