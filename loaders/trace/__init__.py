"""From a published figure back to the files and rows that it was counted from."""

from loaders.trace.figure import File, Part, Query, Trace, TraceError, ranges, trace

__all__ = ["File", "Part", "Query", "Trace", "TraceError", "ranges", "trace"]
