"""Peak memory of this process, for tests that measure it in a process of its own."""

from __future__ import annotations

import resource
from pathlib import Path


def peak_mb() -> int:
    """Peak resident megabytes since this program began.

    Linux hands a parent's ``ru_maxrss`` on to its children, who then all seem as large as it was;
    the high-water mark of the address space begins anew with each program.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
