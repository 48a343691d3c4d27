"""The expected decisions against the policy, without training."""

import pytest
from packaging.specifiers import SpecifierSet

from harness.precision import load_policy
from harness.stacks.stack import releases
from tests.decisions import Decision, load_decisions

DECISIONS = load_decisions()
CELLS = [(decision, cell) for decision in DECISIONS for cell in decision.cells]


@pytest.mark.parametrize(("decision", "cell"), CELLS, ids=[cell for _, cell in CELLS])
def test_the_policy_judges_a_decision_as_the_data_says(decision: Decision, cell: str) -> None:
    policy, situation = load_policy(), decision.situation(cell)
    if decision.seen is None:
        return
    known = [decision.known] if decision.known else []
    assert [deviation.name for deviation in policy.deviations(situation)] == known
    broken = policy.breaches(situation, decision.seen.effective)
    assert {breach.rule.name for breach in broken} == decision.broken


def test_a_cell_is_expected_to_decide_one_way() -> None:
    cells = [cell for _, cell in CELLS]
    assert len(cells) == len(set(cells))


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("release", releases())
def test_a_locked_release_has_one_expected_decision(release: str, bf16: bool) -> None:
    covering = [
        decision.cells
        for decision in DECISIONS
        if (decision.bf16, decision.request) == (bf16, "auto")
        and release in SpecifierSet(decision.releases)
    ]
    assert len(covering) == 1


def test_4_bit_weights_unasked_are_named() -> None:
    quantised = {
        (decision.releases, decision.bf16)
        for decision in DECISIONS
        if decision.seen and decision.seen.weights == "uint8" and decision.request != "nf4"
    }
    assert quantised == {("==2025.3.14", False), ("==2025.3.14", True)}
    assert all(
        "no-unasked-quantisation" in d.broken
        for d in DECISIONS
        if (d.releases, d.bf16) in quantised
    )
