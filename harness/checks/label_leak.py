"""The loss is not too good to be true.

Exists for U#2933 and U#2957: a training loss below 0.001 within eight steps, because the labels
leaked into the input. A loss of exactly 0 is another fault (see `training_applied`).
"""

from harness.checks import Context, verdict
from harness.record import Record
from harness.verdict import Outcome, Verdict

FLOOR = 1e-3
"""Cross-entropy per token, nats: the figure of U#2933, a probability of 0.999 for every token."""

EARLY_STEPS = 8


def judge(record: Record, context: Context) -> Verdict:
    """PASS when no loss of the first eight steps, nor eval_loss before training, is below 0.001."""
    early = [
        (f"training loss of step {s.step}", s.loss if s.raw_loss is None else s.raw_loss)
        for s in record.steps[:EARLY_STEPS]
    ]
    early += [("eval_loss before training", e.eval_loss) for e in record.evaluations if e.step == 0]
    # Zero and NaN are no losses; that they are there is for other checks to report.
    known = [(name, loss) for name, loss in early if loss is not None and loss > 0]
    if not known:
        reason = "no early training loss and no eval_loss before training is above 0"
        return verdict("label_leak", record, Outcome.SKIPPED, reason)
    leaks = [(name, loss) for name, loss in known if loss < FLOOR]
    if not leaks:
        lowest = min(loss for _, loss in known)
        return verdict(
            "label_leak",
            record,
            Outcome.PASS,
            f"the lowest loss of the first {EARLY_STEPS} steps is {lowest:.4g}",
            lowest_loss=lowest,
            floor=FLOOR,
        )
    name, loss = leaks[0]
    return verdict(
        "label_leak",
        record,
        Outcome.FAIL,
        f"{name} is {loss:.2g}, below {FLOOR:g} within {EARLY_STEPS} steps: too good to be learned",
        diagnosis=("the labels reach the model: a shift is missing, or the mask is not causal",),
        advice=("compare the loss of step 1 with that of the reference stack on the same rows",),
        early_losses=dict(known),
        floor=FLOOR,
    )
