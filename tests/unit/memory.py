"""Peak memory of a reader, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from pathlib import Path
from {module} import *
from loaders.readers import Limits
from tests.peak import peak_mb
path = Path(sys.argv[1])
for batch in {read}.batches:
    pass
print(peak_mb())
"""


def peak_mb(path: Path, module: str, read: str) -> int:
    """Peak resident megabytes of reading ``path`` with the expression ``read`` of ``module``."""
    program = PROGRAM.format(module=module, read=read)
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        check=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    return int(done.stdout)
