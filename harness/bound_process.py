"""A program that does not outlive the harness, however that ends."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.locations import PACKAGE


def run_bound(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end and return its exit code and what it printed.

    An orphan of a killed harness would go on writing into a folder that the next run builds anew.

    Args:
        command: The program and its arguments.
        cwd: Its folder.
        env: Its variables; None: this process's.
        timeout_s: Seconds after which it is killed.

    Raises:
        subprocess.TimeoutExpired: It was.
    """
    ours, theirs = os.pipe()
    try:
        return subprocess.run(
            [sys.executable, "-I", "-S", str(PACKAGE / "payload" / "lifeline.py"), *command],
            cwd=cwd,
            env=env,
            stdin=ours,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
