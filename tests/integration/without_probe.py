"""No fault: the run without the probe and without the count of rows, to compare with."""

import sys
from typing import Any


def install(context: Any) -> None:
    evidence: Any = sys.modules["payload.evidence"]
    evidence._watch = lambda *_: None
    evidence.Evidence.probe = lambda _: None
