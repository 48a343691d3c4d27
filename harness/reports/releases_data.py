"""The comparison of releases as plain JSON values, for those who read `result.json`."""

from typing import Any

from harness.gate import GateResult
from harness.releases import histories
from harness.reports import upgrading
from harness.reports.releases import ReleasesView, StepView, view


def as_data(result: GateResult, comparison: ReleasesView | None = None) -> dict[str, Any]:
    """Return the answer on the upgrade, each step, and since when each cell is what it is.

    Args:
        result: What the gate judged.
        comparison: The view of it, where there is one already.
    """
    found = comparison or view(result)
    return {
        "lead": upgrading.lead(result.cells),
        "steps": [_step_data(step) for step in found.steps],
        "since": [
            {
                "cell": history.family.name,
                "first_red": history.first_red.label if history.first_red else None,
                "first_fixed": history.first_fixed.label if history.first_fixed else None,
                "words": upgrading.since(history),
            }
            for history in histories(result.cells)
        ],
        "left_out": list(found.left_out),
    }


def _step_data(view: StepView) -> dict[str, Any]:
    return {
        "old": view.step.old.label,
        "new": view.step.new.label,
        "verdict": view.verdict,
        "reason": view.reason,
        "cells": [
            {
                "cell": one.pair.family.name,
                "verdict": one.pair.verdict,
                "old": one.pair.old.record.cell_id if one.pair.old else None,
                "new": one.pair.new.record.cell_id if one.pair.new else None,
                "regressed": one.pair.regressed,
                "eval_loss_moved": [shift.words for shift in one.pair.shifts],
                "without_an_answer_now": one.pair.unanswered,
            }
            for one in view.pairs
        ],
        "moved": {
            aspect.title: [
                {
                    "name": fact.name,
                    "old": fact.old,
                    "new": fact.new,
                    "cells": [pair.family.name for pair in fact.pairs],
                }
                for fact in aspect.facts
            ]
            for aspect in view.aspects
        },
    }
