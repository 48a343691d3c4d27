"""Every cell of fixtures/decisions.toml, trained: the release decides as the data says.

Three cells run by default; `HARNESS_DECISIONS=all` runs all of them, and any other value those whose
id contains it.
"""

import os

import pytest

from harness.gate import CellResult
from harness.precision_facts import Effective
from tests.decisions import Decision, load_decisions
from tests.integration.conftest import JudgeAll

DEFAULT = (
    # A card without bfloat16, one with it, and a decision that the policy refuses.
    "unsloth-2026.10.9/t4-emulated/auto/mild",
    "unsloth-2026.10.9/a100-emulated/auto/mild",
    "unsloth-2026.10.9/t4-emulated/float32/mild",
)
ASKED = os.environ.get("HARNESS_DECISIONS", "")


def selected(cell: str) -> bool:
    return (cell in DEFAULT) if not ASKED else (ASKED == "all" or ASKED in cell)


CELLS = {cell: d for d in load_decisions() for cell in d.cells if selected(cell)}


def test_something_is_selected() -> None:
    assert CELLS, f"no decision's cell contains HARNESS_DECISIONS={ASKED}"


@pytest.fixture(scope="module")
def judged(judge_all: JudgeAll) -> dict[str, CellResult]:
    return judge_all(list(CELLS))


@pytest.mark.trains
@pytest.mark.parametrize(("cell", "decision"), CELLS.items(), ids=CELLS)
def test_release_decides_as_on_the_card(
    judged: dict[str, CellResult], cell: str, decision: Decision
) -> None:
    result = judged[cell]
    record = result.record
    assert record.hardware.kind == "emulated"
    assert record.hardware.replaced
    if decision.seen is None:
        assert record.status == "CRASHED"
        assert record.failure is not None
        assert decision.stops is not None
        assert decision.stops in record.failure.message
        return
    assert record.status == "COMPLETED", record.failure
    seen, expected = Effective.of(record.precision).values, decision.seen.effective.values
    assert {field: seen.get(field) for field in expected} == expected
    (precision,) = [v for v in result.verdicts if v.check == "precision"]
    assert precision.outcome == decision.policy, precision.message
    assert precision.evidence.get("known_deviation") == decision.known
    if decision.known is None:
        assert set(precision.evidence.get("broken_rules", [])) == decision.broken
    assert record.eval_losses[-1] < 0.8 * record.eval_losses[0]
