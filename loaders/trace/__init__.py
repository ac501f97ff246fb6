"""From a published figure back to the files and rows that it was counted from."""

from loaders.trace.figure import File, Part, Trace, ranges, trace
from loaders.trace.published import Query, TraceError

__all__ = ["File", "Part", "Query", "Trace", "TraceError", "ranges", "trace"]
