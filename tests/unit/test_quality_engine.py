"""Great Expectations comes without what no suite uses, and that comes when it is asked for."""

from __future__ import annotations

import subprocess
import sys

from tests.unit.memory import ROOT

PROGRAM = """
import gc, sys
from loaders.quality.engine import SELDOM_USED, great_expectations

great_expectations()
print([name in sys.modules for name in SELDOM_USED])
from great_expectations.expectations.core import expect_column_kl_divergence_to_be_less_than as rule
print(rule.alt.Chart.__name__, rule.stats.norm.cdf(0))
import altair, scipy.stats
print(gc.isenabled(), gc.get_freeze_count() > 100_000)
print(rule.alt.Chart is altair.Chart, rule.stats.norm is scipy.stats.norm)
"""


def test_what_no_suite_uses_is_imported_at_its_first_use() -> None:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.splitlines() == ["[False, False]", "Chart 0.5", "True True", "True True"]
