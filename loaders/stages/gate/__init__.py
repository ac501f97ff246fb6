"""`gate`: Great Expectations at both borders, on a batch (intake) and on a candidate (release)."""

from loaders.stages.gate.intake import ensure_raw_tables, gate_intake
from loaders.stages.gate.release import gate_release
from loaders.stages.gate.results import write_rule_results

__all__ = [
    "ensure_raw_tables",
    "gate_intake",
    "gate_release",
    "write_rule_results",
]
