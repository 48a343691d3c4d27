import pytest

from harness.checks import Context
from harness.checks.train_eval_mode import judge
from harness.record import Probe
from harness.verdict import Outcome
from tests.unit.records import NAN, make_record
from tests.unit.tolerances import allow


@pytest.fixture(autouse=True)
def _measured(monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, "train_eval_mode", "loss of the trained adapter")


@pytest.mark.parametrize(
    ("training", "outcome"),
    [(4.2, Outcome.PASS), (4.2 * (1 + 9e-7), Outcome.PASS), (4.2001, Outcome.FAIL)],
)
def test_both_modes_have_one_loss(training: float, outcome: Outcome) -> None:
    record = make_record(probe={"train_mode_loss": training})
    verdict = judge(record, Context())

    assert verdict.outcome is outcome
    assert f"{training:.5g} in train mode without dropout, 4.2 in eval mode" in verdict.message


def test_a_nan_in_one_mode_fails() -> None:
    verdict = judge(make_record(probe={"eval_mode_loss": NAN}), Context())

    assert verdict.outcome is Outcome.FAIL
    assert "U#1742" in verdict.diagnosis[0]


def test_another_dtype_is_uncalibrated() -> None:
    record = make_record(probe={"train_mode_loss": 4.3}, precision={"autocast": "float16"})
    verdict = judge(record, Context())

    assert verdict.outcome is Outcome.UNCALIBRATED
    assert "deviates by 0.024" in verdict.message


@pytest.mark.parametrize(
    ("probe", "says"),
    [
        (None, "run the cell again"),
        (Probe(problem="RuntimeError: float != Half"), "float != Half"),
        (Probe(train_mode_loss=NAN, eval_mode_loss=NAN), "no number to compare"),
    ],
)
def test_without_two_losses_it_is_skipped(probe: Probe | None, says: str) -> None:
    verdict = judge(make_record(probe=probe), Context())

    assert verdict.outcome is Outcome.SKIPPED
    assert says in verdict.message


@pytest.mark.parametrize(
    ("training", "outcome"),
    [(4.2, Outcome.PASS), (4.21, Outcome.UNCALIBRATED), (4.3, Outcome.FAIL)],
)
def test_a_gpu_may_round_otherwise_than_the_cpus_it_was_measured_on(
    training: float, outcome: Outcome
) -> None:
    record = make_record(
        probe={"train_mode_loss": training}, hardware={"compute_capability": "9.0"}
    )

    assert judge(record, Context()).outcome is outcome


def test_an_emulated_card_computes_as_the_cpu_does() -> None:
    record = make_record(
        probe={"train_mode_loss": 4.21},
        hardware={"compute_capability": "8.0", "kind": "emulated"},
    )

    assert judge(record, Context()).outcome is Outcome.FAIL


def test_weights_kept_in_float16_are_not_judged_by_float32() -> None:
    record = make_record(precision={"weights": {"float16": 80}})

    assert judge(record, Context()).outcome is Outcome.UNCALIBRATED
