"""Which steps a GradScaler may skip in a healthy run."""

from harness.checks._steps import is_non_finite
from harness.record import Record

MAX_CALIBRATING_SKIPS = 5
"""Leading steps that a GradScaler may skip while it finds its scale.

torch.amp.GradScaler starts at 2**16 and halves at each overflow. Five halvings reach 2**11, which
leaves room for a gradient element of 2**16 / 2**11 = 32 in float16: 32 times the norm that the
recipes clip to. A run that needs more has gradients that float16 does not hold.
"""

SCALER_GROWTH_INTERVAL = 2000
"""Applied steps after which torch.amp.GradScaler doubles its scale, which may cost one skip."""


def calibrating_skips(record: Record) -> set[int]:
    """Return the numbers of the steps that a GradScaler may skip: see `MAX_CALIBRATING_SKIPS`.

    Empty without a GradScaler. A skip needs a grad_norm that is not finite: that is why a scaler
    skips. After the first applied step one counts as calibration only once per
    `SCALER_GROWTH_INTERVAL` applied steps.
    """
    if record.scaler is None or not record.scaler.enabled:
        return set()
    allowed: set[int] = set()
    applied = growths_used = 0
    for step in record.steps:
        if step.applied is True:
            applied += 1
        elif step.applied is None or not is_non_finite(step.grad_norm):
            continue
        elif applied == 0 and len(allowed) < MAX_CALIBRATING_SKIPS:
            allowed.add(step.step)
        elif growths_used < applied // SCALER_GROWTH_INTERVAL:
            growths_used += 1
            allowed.add(step.step)
    return allowed
