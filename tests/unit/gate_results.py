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
# eval_loss of the mild cell on Unsloth 2025.8.6 and 2026.1.4, measured on an emulated T4
# (reports/findings/padding-free-evaluation.md).
RIGHT = (7.1158, 5.5433, 5.0225, 4.9196)
MIXED_UP = (7.0960, 5.9248, 5.4691, 5.3631)
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


def on_release(
    release: str, outcome: Outcome = Outcome.PASS, recipe: str = "hot", **changes: Any
) -> CellResult:
    """Return one cell of the family `t4 (emulated)/auto/RECIPE` on a release.

    A red one trains in float16, where its activations overflow; the others in float32.
    """
    red = outcome.is_red
    told: dict[str, Any] = {
        "cell_id": f"unsloth-{release}/t4/auto/{recipe}",
        "dtype_request": "auto",
        "recipe": {"name": recipe},
        "stack": {
            "name": f"unsloth-{release}",
            "release": release,
            "overrides": [f"resolved for {release}", "torch replaced by its CPU build"],
        },
        "hardware": emulated(),
        "precision": {
            "weights": {"float16" if red else "float32": 80},
            "autocast": "float16" if red else "off",
            "args_fp16": red,
            "force_float32": "0" if red else "1",
        },
        "executed": {
            "arguments": {"optim": "adamw_torch", "fp16": red},
            "packages": {"unsloth": release, "torch": "2.13.0"},
        },
    }
    if red:
        told["evaluations"] = [6.9392] * 4
    return cell(make_record(**{**told, **changes}), outcome)


def regression() -> GateResult:
    """Return a run over three releases: one family is fixed and breaks again, one passes on all."""
    mild = [on_release(r, recipe="mild") for r in ("2025.3.14", "2025.6.8", "2026.10.9")]
    return gate(
        on_release("2026.10.9", Outcome.FAIL),
        *mild,
        on_release("2025.3.14", Outcome.FAIL),
        on_release("2025.6.8"),
        cell(cell_id="reference-2026.10.9/t4/auto/hot", stack={"family": "reference"}),
    )


def moved_losses() -> GateResult:
    """Return a run of passing cells over two releases, on the newer of which eval_loss moved.

    A third cell has a lower last loss there, a fourth exists on the new release only.
    """
    return gate(
        on_release("2025.8.6", evaluations=RIGHT),
        on_release("2026.1.4", evaluations=MIXED_UP, executed=_PADDING_FREE),
        on_release("2025.8.6", recipe="better", evaluations=[7.0, 5.3631]),
        on_release("2026.1.4", recipe="better", evaluations=[7.0, 4.9196]),
        on_release("2026.1.4", recipe="new"),
    )


_PADDING_FREE = {
    "arguments": {"optim": "adamw_torch", "fp16": False, "padding_free": True},
    "packages": {"unsloth": "2026.1.4", "torch": "2.13.0"},
    "environment": {"UNSLOTH_RETURN_LOGITS": "1"},
}


def every_step() -> GateResult:
    """Return a run over two releases with a cell of each verdict that one can have."""
    said = {
        "worse": (Outcome.PASS, Outcome.FAIL),
        "lost": (Outcome.PASS, Outcome.TIMEOUT),
        "red": (Outcome.FAIL, Outcome.FAIL),
        "better": (Outcome.FAIL, Outcome.PASS),
        "sound": (Outcome.PASS, Outcome.PASS),
    }
    return gate(
        *(
            on_release(release, outcome, recipe)
            for recipe, outcomes in said.items()
            for release, outcome in zip(("2025.6.8", "2026.10.9"), outcomes, strict=True)
        ),
        on_release("2026.10.9", recipe="new"),
    )


def many_releases(families: int, releases: int) -> GateResult:
    """Return a run of `families` cells on each of `releases` releases; every seventh is red."""
    return gate(
        *(
            on_release(
                f"2026.{number}.1",
                Outcome.FAIL if (family + number) % 7 == 0 else Outcome.PASS,
                f"recipe-{family}",
                executed={
                    "arguments": {f"argument_{n}": f"{number} of {n}" for n in range(50)},
                    "packages": {f"package-{n}": f"{number}.{n}" for n in range(40)},
                },
            )
            for number in range(releases)
            for family in range(families)
        )
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
    """Return a run in which every text that a library or a model can write is an attack.

    Its cells are of one family on two releases, so that they are compared, too.
    """
    first = _attack("2026.10.8", HOSTILE)
    # On the other side every text is another one, so that all of it has moved.
    other = _attack("2026.10.7", HOSTILE + "2")
    passed = other.verdicts[0].model_copy(update={"outcome": Outcome.PASS, "check": HOSTILE})
    other = other.model_copy(update={"verdicts": [passed]})
    odd = _attack(HOSTILE, HOSTILE)
    result = gate(first, cell(), other, odd)
    return result.model_copy(update={"command": HOSTILE, "harness_version": HOSTILE})


def _attack(release: str, attack: str) -> CellResult:
    record = make_record(
        cell_id=attack,
        dtype_request=HOSTILE,
        fault=HOSTILE,
        status="CRASHED",
        failure=Failure(
            phase=attack, kind=attack, message=attack, traceback=attack, output_tail=attack
        ),
        recipe={"name": HOSTILE, HOSTILE: HOSTILE},
        stack={"name": attack, "release": release, "lock_digest": attack, "overrides": [attack]},
        hardware={**emulated(HOSTILE), "device": attack, "replaced": [attack]},
        phases=[Phase(name=attack, wall_s=1.0)],
        executed={
            "trainer_class": attack,
            "loss_function": attack,
            "arguments": {HOSTILE: attack},
            "environment": {HOSTILE: attack},
            "packages": {HOSTILE: attack},
            "files": {attack: attack},
        },
        precision={
            "weights": {attack: 1},
            "autocast": attack,
            "max_abs_activation": {attack: 1.0},
        },
        adapter={"digest_after": attack},
        translations=[Translation(source=attack, reference=attack, hypothesis=attack)],
        data={attack: attack},
    )
    said = Verdict(
        check=attack,
        cell_id=attack,
        outcome=Outcome.FAIL,
        message=attack,
        diagnosis=(attack,),
        advice=(attack,),
        evidence={attack: attack},
    )
    open_one = said.model_copy(update={"outcome": Outcome.SKIPPED})
    return CellResult(record=record, verdicts=[said, open_one], reused=True)
