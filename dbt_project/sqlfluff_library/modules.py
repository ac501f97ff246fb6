"""dbt's `modules`."""

import re

import pytz

__all__ = ["pytz", "re"]
