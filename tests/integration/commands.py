"""`nq42` as a process of its own, on the settings of the test."""

from __future__ import annotations

import os
import subprocess
import sys

from loaders.settings import PROJECT_ROOT


def nq42(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, whatever that is."""
    return subprocess.run(
        [sys.executable, "-m", "loaders.cli", *arguments],
        cwd=PROJECT_ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
