"""Without dropout the trained model gives the same loss in train mode and in eval mode.

Exists for U#1742 and U#1638 (the output deteriorates after `model.eval()` or a switch to inference).
"""

import math
from typing import Any

from harness.checks import Context, verdict
from harness.comparison import compare, relative, uncalibrated
from harness.record import Record
from harness.verdict import Outcome, Verdict

NAME = "train_eval_mode"
QUANTITY = "loss of the trained adapter"


def judge(record: Record, context: Context) -> Verdict:
    """PASS when the rows of the first micro-batch have one loss, whichever mode the model is in."""
    probe = record.probe
    if probe is None:
        reason = "the record has no losses computed apart; run the cell again"
        return verdict(NAME, record, Outcome.SKIPPED, reason)
    training, evaluation = probe.train_mode_loss, probe.eval_mode_loss
    if training is None or evaluation is None:
        reason = probe.problem or "no label of the first batch is supervised"
        return verdict(NAME, record, Outcome.SKIPPED, f"nothing to compare: {reason}")
    evidence: dict[str, Any] = {"train_mode_loss": training, "eval_mode_loss": evaluation}
    if not (math.isfinite(training) or math.isfinite(evaluation)):
        reason = f"both losses are {training}: there is no number to compare"
        return verdict(NAME, record, Outcome.SKIPPED, reason, **evidence)
    compared = compare(record, NAME, QUANTITY, relative(training, evaluation))
    said = f"{training:.5g} in train mode without dropout, {evaluation:.5g} in eval mode"
    if compared.fails:
        return verdict(
            NAME,
            record,
            Outcome.FAIL,
            f"the same rows have a loss of {said}",
            diagnosis=("eval mode computes something else than what was trained (U#1742, U#1638)",),
            advice=("compare the layers' outputs in both modes on one row",),
            deviation=compared.deviation,
            **evidence,
        )
    if unknown := uncalibrated(record, [compared]):
        return verdict(NAME, record, Outcome.UNCALIBRATED, unknown, **evidence)
    return verdict(NAME, record, Outcome.PASS, f"the loss is {said}", **evidence)
