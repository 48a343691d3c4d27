"""The probe computes apart what the trainer reported, and the run does not notice."""

from pathlib import Path

import pytest

from harness.record import Record
from tests.integration.conftest import Judge

CELL = "reference-2026.10.9/cpu/float32/mild"

pytestmark = pytest.mark.trains


@pytest.fixture(scope="module")
def probed(judge: Judge) -> Record:
    return judge(CELL).record


def test_a_run_with_and_without_the_probe_is_bitwise_equal(judge: Judge, probed: Record) -> None:
    plain = judge(CELL, fault=Path(__file__).with_name("without_probe.py")).record

    assert (plain.probe, plain.rows) == (None, {})
    assert probed.eval_losses == plain.eval_losses
    assert [s.raw_loss for s in probed.steps] == [s.raw_loss for s in plain.steps]
    assert [s.grad_norm for s in probed.steps] == [s.grad_norm for s in plain.steps]
    assert probed.adapter == plain.adapter
    assert probed.translations == plain.translations


def test_it_has_the_batches_of_step_1_and_all_rows(probed: Record) -> None:
    assert probed.probe is not None
    assert probed.probe.problem is None
    assert [batch.rows for batch in probed.probe.first_step] == [4]
    assert probed.rows["train"].rows == 40 * 3
    assert probed.rows["evaluation"].rows == 16 * 4


def test_it_is_a_phase_of_its_own(probed: Record) -> None:
    names = [phase.name for phase in probed.phases]

    assert names.index("train") < names.index("probe") < names.index("generate")
