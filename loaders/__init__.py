"""nq42: agency extracts in, audited KPI releases out."""

from __future__ import annotations

__version__ = "0.1.0"
