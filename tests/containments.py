"""What of a machine tests of containment need."""

import shutil

import pytest

from harness.containment.choice import PROGRAMS
from harness.record.containment import Kind


def skip_unless_installed(kind: Kind) -> None:
    """Skip a test where the program of a containment is not there."""
    program = PROGRAMS.get(kind)
    if program is not None and shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
