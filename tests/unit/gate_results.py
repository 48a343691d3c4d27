"""Judged cells for the report tests: what a gate over a small matrix looks like.

The figures are made up in the shape of real ones; no test may read them as a result.
"""

import math
from typing import Any

from harness.gate import CellResult, GateResult
from harness.record import Failure, Phase, Precision, Record, Translation
from harness.verdict import Outcome, Verdict
from tests.unit.records import make_record, steps

CHECKS = ("completed", "eval_loss_moves", "precision", "throughput")
HOSTILE = "</script><script>alert('x')</script>\"'><img src=x onerror=alert(1)>&{{7*7}}|`@team`"


def emulated(name: str = "t4") -> dict[str, Any]:
    """Return the changes that put a record on an emulated card without bfloat16."""
    return {
        "name": name,
        "kind": "emulated",
        "device": "Example CPU",
        "compute_capability": "7.5",
        "bf16": False,
        "replaced": ["torch.cuda probes", "Triton kernels"],
    }


def cell(
    record: Record | None = None, outcome: Outcome = Outcome.PASS, **changes: Any
) -> CellResult:
    """Return a cell whose second check has `outcome`; a red one explains itself."""
    record = record or make_record(**changes)
    return CellResult(record=record, verdicts=verdicts(record, outcome))


def verdicts(record: Record, outcome: Outcome) -> list[Verdict]:
    """Return a verdict per check: `outcome`, throughput without a baseline, the others PASS."""
    found = []
    for check in CHECKS:
        told = {"eval_loss_moves": outcome, "throughput": Outcome.UNCALIBRATED}
        said = told.get(check, Outcome.PASS)
        found.append(
            Verdict(
                check=check,
                cell_id=record.cell_id,
                outcome=said,
                message=f"{check} says {said} with 1.25",
                diagnosis=("the scaler skipped all 30 steps",) if said.is_red else (),
                advice=("train in float32",) if said.is_red else (),
                evidence={"steps": 30, "largest": math.inf} if said.is_red else {},
            )
        )
    return found


def ended(status: str, kind: str, **changes: Any) -> CellResult:
    """Return a cell whose run did not finish, as the checks see one."""
    record = make_record(
        **{
            "status": status,
            "failure": Failure(phase="train", kind=kind, message=f"{kind} at step 3"),
            "steps": [],
            "evaluations": [],
            "executed": None,
            "adapter": None,
            "scaler": None,
            "scores": None,
            "translations": [],
            "precision": Precision(),
            "phases": [Phase(name="import", wall_s=3.0, peak_rss=400 << 20)],
            **changes,
        }
    )
    outcome = Outcome(status)
    said = [Verdict(check=CHECKS[0], cell_id=record.cell_id, outcome=outcome, message=f"{kind}")]
    said += [
        Verdict(
            check=check,
            cell_id=record.cell_id,
            outcome=Outcome.SKIPPED,
            message=f"the run ended as {status}",
        )
        for check in CHECKS[1:]
    ]
    return CellResult(record=record, verdicts=said)


def frozen(cell_id: str = "unsloth-2025.3.14/t4/float16/hot") -> CellResult:
    """Return the cell of unslothai/unsloth#2032: finite, constant eval_loss, nothing trained."""
    return cell(
        outcome=Outcome.FAIL,
        cell_id=cell_id,
        dtype_request="float16",
        recipe={"name": "hot"},
        stack={"name": "unsloth-2025.3.14", "release": "2025.3.14", "lock_digest": "eeeeeeeeeeee"},
        hardware=emulated(),
        evaluations=[6.9392] * 4,
        steps=steps(loss=0.0, grad_norm=math.nan, applied=False),
        precision={
            "weights": {"float16": 43, "float32": 37},
            "autocast": "float16",
            "args_fp16": True,
            "max_abs_activation": {"layers.0": 1.5e4, "layers.1": math.inf},
        },
        adapter={"digest_after": "bbbbbbbbbbbb", "lora_b_moved": 0, "max_abs_update": 0.0},
        scaler={"enabled": True, "applied": 0, "skipped": 30, "scale_first": 65536.0},
    )


def gate(*cells: CellResult) -> GateResult:
    """Return one run of the gate over `cells`."""
    return GateResult(
        command="nox -s gpu_matrix",
        started_at="2026-11-24T08:10:00+00:00",
        duration_s=287.4,
        harness_version="0.1.0",
        cells=list(cells),
    )


def mixed() -> GateResult:
    """Return a run with every kind of cell: passing, reused, frozen, crashed, out of time."""
    healthy = make_record()
    reused = make_record(
        cell_id="unsloth-2026.10.9/t4/float16/mild", dtype_request="float16", hardware=emulated()
    )
    return gate(
        CellResult(
            record=healthy,
            verdicts=verdicts(healthy, Outcome.PASS),
            repeats=[healthy.model_copy(update={"repeat": 1})],
        ),
        CellResult(record=reused, verdicts=verdicts(reused, Outcome.PASS), reused=True),
        frozen(),
        ended("CRASHED", "RuntimeError", cell_id="unsloth-2025.3.14/cpu/float32/mild"),
        ended("TIMEOUT", "time limit", cell_id="reference-2026.10.9/cpu/bfloat16/mild"),
    )


def many(amount: int, step_count: int = 30) -> GateResult:
    """Return `amount` cells of all kinds, every id its own."""
    cells: list[CellResult] = []
    sources = mixed().cells
    for number in range(amount):
        source = sources[number % 5]
        record = source.record.model_copy(update={"cell_id": f"{source.record.cell_id}-{number}"})
        if record.steps and step_count != 30:
            record.steps = steps(step_count)
        cells.append(source.model_copy(update={"record": record}))
    return gate(*cells)


def hostile() -> GateResult:
    """Return a run in which every text that a library or a model can write is an attack."""
    record = make_record(
        cell_id=HOSTILE,
        dtype_request=HOSTILE,
        fault=HOSTILE,
        status="CRASHED",
        failure=Failure(
            phase=HOSTILE, kind=HOSTILE, message=HOSTILE, traceback=HOSTILE, output_tail=HOSTILE
        ),
        recipe={"name": HOSTILE, HOSTILE: HOSTILE},
        stack={"name": HOSTILE, "release": HOSTILE, "lock_digest": HOSTILE, "overrides": [HOSTILE]},
        hardware={**emulated(HOSTILE), "device": HOSTILE, "replaced": [HOSTILE]},
        phases=[Phase(name=HOSTILE, wall_s=1.0)],
        executed={
            "trainer_class": HOSTILE,
            "loss_function": HOSTILE,
            "arguments": {HOSTILE: HOSTILE},
            "environment": {HOSTILE: HOSTILE},
            "packages": {HOSTILE: HOSTILE},
            "files": {HOSTILE: HOSTILE},
        },
        precision={
            "weights": {HOSTILE: 1},
            "autocast": HOSTILE,
            "max_abs_activation": {HOSTILE: 1.0},
        },
        adapter={"digest_after": HOSTILE},
        translations=[Translation(source=HOSTILE, reference=HOSTILE, hypothesis=HOSTILE)],
        data={HOSTILE: HOSTILE},
    )
    said = Verdict(
        check=HOSTILE,
        cell_id=HOSTILE,
        outcome=Outcome.FAIL,
        message=HOSTILE,
        diagnosis=(HOSTILE,),
        advice=(HOSTILE,),
        evidence={HOSTILE: HOSTILE},
    )
    open_one = said.model_copy(update={"outcome": Outcome.SKIPPED})
    attacked = CellResult(record=record, verdicts=[said, open_one], reused=True)
    result = gate(attacked, cell())
    return result.model_copy(update={"command": HOSTILE, "harness_version": HOSTILE})
