"""Repeats of one experiment give the same numbers, bit for bit.

Exists for U#617 (same seed, different result). Also the ground that every other comparison stands
on: a difference between two releases means something only when two runs of one release agree.
"""

from collections.abc import Iterator
from itertools import zip_longest

from harness.checks import Context, verdict
from harness.record import Evaluation, Record
from harness.verdict import Outcome, Verdict


def judge(record: Record, context: Context) -> Verdict:
    """Compare losses, grad_norm and the trained adapter with every completed repeat, bitwise.

    NaN equals NaN here: a run that fails the same way twice is deterministic.
    """
    repeats = [
        other for other in context.repeats if other.key == record.key and _is_complete(other)
    ]
    if not repeats:
        reason = "no repeat of this cell in this run"
        return verdict("determinism", record, Outcome.SKIPPED, reason)
    count = len(list(_values(record)))
    for other in repeats:
        difference = first_difference(record, other)
        if difference is not None:
            where, here, there = difference
            return verdict(
                "determinism",
                record,
                Outcome.FAIL,
                f"{where} is {here} in repeat {record.repeat} and {there} in repeat "
                f"{other.repeat}; all before it are equal",
                diagnosis=tuple(_causes(where)),
                advice=("run both again with 1 thread, alone on the machine, and compare",),
                where=where,
                here=here,
                there=there,
                repeats=[r.repeat for r in repeats],
            )
    return verdict(
        "determinism",
        record,
        Outcome.PASS,
        f"{count} values are equal to the bit in {len(repeats) + 1} runs",
        values=count,
        repeats=[r.repeat for r in repeats],
    )


def first_difference(one: Record, other: Record) -> tuple[str, str, str] | None:
    """Return the first value, in the order of the run, that differs: its name and both values."""
    for here, there in zip_longest(_values(one), _values(other)):
        if here == there:
            continue
        if here is None or there is None or here[0] != there[0]:
            return "what was logged", _shown(here), _shown(there)
        return here[0], here[1], there[1]
    return None


def _shown(item: tuple[str, str] | None) -> str:
    return "absent" if item is None else f"{item[0]} = {item[1]}"


def _is_complete(record: Record) -> bool:
    return record.status == "COMPLETED"


def _values(record: Record) -> Iterator[tuple[str, str]]:
    """Yield every compared value with its name, as text: NaN equals NaN, 0.0 is not -0.0.

    `repr` of a float is its shortest text that reads back to the same bits.
    """
    evaluations = list(record.evaluations)
    for step in record.steps:
        while evaluations and evaluations[0].step < step.step:
            yield from _of_evaluation(evaluations.pop(0))
        yield f"raw_loss of step {step.step}", repr(step.raw_loss)
        yield f"loss of step {step.step}", repr(step.loss)
        yield f"grad_norm of step {step.step}", repr(step.grad_norm)
    for evaluation in evaluations:
        yield from _of_evaluation(evaluation)
    if record.adapter is not None:
        yield "digest of the adapter after training", record.adapter.digest_after


def _of_evaluation(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    where = f"of the evaluation at step {evaluation.step}"
    yield f"eval_loss {where}", repr(evaluation.eval_loss)
    yield f"token_loss {where}", repr(evaluation.token_loss)


def _causes(where: str) -> Iterator[str]:
    if where == "what was logged":
        yield "the runs did not take the same steps and evaluations: the schedule is not seeded"
    elif where.endswith("evaluation at step 0"):
        yield "they differ before training: weights, adapter initialisation or evaluation rows"
    elif where in ("loss of step 1", "raw_loss of step 1"):
        yield "they differ from the first training batch on: row order, dropout or templates"
    elif where.startswith("digest"):
        yield "every logged number agrees and the adapter does not: the log is too coarse to see it"
    else:
        yield "they start equal and part: a kernel whose order of summation varies, or threads"
