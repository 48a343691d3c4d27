"""The gate itself: every check on every cell of the matrix. Run it with `nox -s gpu_matrix`."""

from harness.pytest_plugin import apply
from harness.verdict import Verdict


def test_gate(gate_verdict: Verdict, gate_rerun: str) -> None:
    apply(gate_verdict, gate_rerun)
