"""Every evaluation took place and reports a finite eval_loss and a token accuracy.

Exists for U#3179 and HF#38130 (eval_loss is missing because label_names is empty) and for U#1548
and U#3126 (metrics do not come back from evaluation).
"""

import math
from collections.abc import Iterator
from typing import Any

from harness.checks import Context, verdict
from harness.checks._diagnosis import diagnose
from harness.record import Evaluation, Record
from harness.verdict import Outcome, Verdict

_EPOCH_TOLERANCE = 0.05
"""Share of an epoch by which a trainer's float epoch may miss the whole number."""


def judge(record: Record, context: Context) -> Verdict:
    """PASS when there is one complete evaluation before training and one after each epoch."""
    epochs = int(record.recipe["epochs"])
    problems = [*_count_problems(record, epochs), *_value_problems(record)]
    evidence: dict[str, Any] = {
        "expected": epochs + 1,
        "epochs": [e.epoch for e in record.evaluations],
        "eval_loss": [e.eval_loss for e in record.evaluations],
        "token_accuracy": [e.token_accuracy for e in record.evaluations],
    }
    if not problems:
        return verdict(
            "evaluation_complete",
            record,
            Outcome.PASS,
            f"all {epochs + 1} evaluations report a finite eval_loss and a token accuracy",
            **evidence,
        )
    return verdict(
        "evaluation_complete",
        record,
        Outcome.FAIL,
        "; ".join(problems),
        diagnosis=tuple(_causes(record, epochs)),
        advice=tuple(_advice(record, epochs)),
        **evidence,
    )


def _count_problems(record: Record, epochs: int) -> Iterator[str]:
    for epoch in range(epochs + 1):
        count = sum(abs(e.epoch - epoch) < _EPOCH_TOLERANCE for e in record.evaluations)
        when = f"at the end of epoch {epoch}" if epoch else "before training"
        if count == 0:
            yield f"there is no evaluation {when}"
        elif count > 1:
            yield f"there are {count} evaluations {when} instead of one"
    for evaluation in record.evaluations:
        nearest = round(evaluation.epoch) if math.isfinite(evaluation.epoch) else -1
        if abs(evaluation.epoch - nearest) >= _EPOCH_TOLERANCE or not 0 <= nearest <= epochs:
            yield f"the evaluation at epoch {evaluation.epoch:g} was not planned"


def _value_problems(record: Record) -> Iterator[str]:
    for evaluation in record.evaluations:
        where = _name(evaluation)
        if evaluation.eval_loss is None:
            yield f"eval_loss is missing in the evaluation {where}"
        elif not math.isfinite(evaluation.eval_loss):
            yield f"eval_loss is {evaluation.eval_loss} in the evaluation {where}"
        accuracy = evaluation.token_accuracy
        if accuracy is None:
            yield f"token_accuracy is missing in the evaluation {where}"
        elif not 0.0 <= accuracy <= 1.0:
            yield f"token_accuracy is {accuracy} in the evaluation {where}, outside 0 ... 1"


def _name(evaluation: Evaluation) -> str:
    if abs(evaluation.epoch) < _EPOCH_TOLERANCE:
        return "before training"
    return f"of epoch {evaluation.epoch:g} (step {evaluation.step})"


def _causes(record: Record, epochs: int) -> Iterator[str]:
    if any(e.eval_loss is None for e in record.evaluations):
        yield "the trainer found no labels to evaluate: label_names is empty (U#3179, HF#38130)"
    if any(e.token_accuracy is None for e in record.evaluations):
        yield "evaluation returned no logits, or its metrics were dropped (U#1548, U#3126)"
    if any(e.eval_loss is not None and not math.isfinite(e.eval_loss) for e in record.evaluations):
        yield from diagnose(record).causes
    if any(_count_problems(record, epochs)):
        yield "the evaluation schedule that ran is not the recipe's: " + _schedule(record)


def _schedule(record: Record) -> str:
    arguments = record.executed.arguments if record.executed else {}
    names = ("eval_strategy", "evaluation_strategy", "eval_on_start", "eval_steps")
    known = [f"{name} = {arguments[name]!r}" for name in names if name in arguments]
    return ", ".join(known) or "the effective arguments do not name one"


def _advice(record: Record, epochs: int) -> Iterator[str]:
    if any(e.eval_loss is None for e in record.evaluations):
        yield 'set label_names=["labels"] in the training arguments'
    if any(e.token_accuracy is None for e in record.evaluations):
        yield "ask for logits at evaluation (UNSLOTH_RETURN_LOGITS=1, prediction_loss_only=False)"
    if any(e.eval_loss is not None and not math.isfinite(e.eval_loss) for e in record.evaluations):
        yield from diagnose(record).advice
    if any(_count_problems(record, epochs)):
        yield 'set eval_strategy="epoch" and eval_on_start=True'
