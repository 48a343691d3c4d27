"""Speed of a run in pytest-benchmark's own JSON, for `pytest-benchmark compare` and what reads its files.

A cell is a benchmark of the name of its id, a round one training step of the steady window
(`harness.figures`); a second one, `ID[evaluation]`, has the evaluations after the first. What must be equal
before two speeds may be compared, all but the stack, is the group, so that the default table never sets a
number beside one of another recipe or machine.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from harness.baselines.baseline import Comparable
from harness.cell_result import CellResult
from harness.figures import MIN_STEADY_STEPS, all_figures, steady_evaluations, steady_steps
from harness.gate import GateResult
from harness.record import Record
from harness.releases import family_of

_SAID = {"hardware", "hardware_kind", "dtype_request", "stack_family"}
"""Keys that the name of a group has already, and the one that it sets side by side."""


@dataclass(frozen=True)
class _Measured:
    """What pytest-benchmark's `Metadata` takes from the fixture of a benchmark."""

    name: str
    group: str
    params: dict[str, str]
    param: str | None
    extra_info: dict[str, Any]
    rounds: Sequence[float]
    """Seconds."""
    cprofile_stats: None = None
    has_error: bool = False

    @property
    def fullname(self) -> str:
        """What a benchmark is looked up by in another file."""
        return self.name


def machine_info() -> dict[str, Any]:
    """Return what pytest-benchmark says of the machine that this process runs on."""
    from pytest_benchmark import plugin

    found: dict[str, Any] = plugin.pytest_benchmark_generate_machine_info()
    return found


def commit_info() -> dict[str, Any]:
    """Return what pytest-benchmark says of the checkout that this process was started in."""
    from pytest_benchmark.utils import get_commit_info

    found: dict[str, Any] = get_commit_info()
    return found


def render(result: GateResult) -> str:
    """Render the file: a pure function of the result, as every report is.

    Cells with an injected fault or an unfinished run are left out, and so is a benchmark with too few
    rounds for a figure: what has no rate in the record has none here.
    """
    from pytest_benchmark import plugin
    from pytest_benchmark.stats import Metadata

    benchmarks = []
    for cell in result.cells:
        for measured in _measured(cell):
            benchmark = Metadata(measured, iterations=1, options={})
            for seconds in measured.rounds:
                benchmark.update(seconds)
            benchmarks.append(benchmark)
    data = plugin.pytest_benchmark_generate_json(
        config=None,
        benchmarks=benchmarks,
        include_data=True,
        machine_info=result.machine_info,
        commit_info=result.commit_info,
    )
    # It puts the time of writing here; a run that is rendered again was not measured again.
    data["datetime"] = result.started_at
    return to_json(data, indent=1).decode() + "\n"


def _measured(cell: CellResult) -> list[_Measured]:
    record = cell.record
    if record.status != "COMPLETED" or record.fault:
        return []
    found = []
    name, info = record.cell_id, _extra_info(cell)
    steps = [step.wall_s for step in steady_steps(record.steps)]
    if len(steps) >= MIN_STEADY_STEPS:
        found.append(_entry(record, name, "training step", None, info, steps))
    if evaluations := [one.wall_s for one in steady_evaluations(record.evaluations)]:
        found.append(
            _entry(record, f"{name}[evaluation]", "evaluation", "evaluation", info, evaluations)
        )
    return found


def _entry(
    record: Record,
    name: str,
    what: str,
    param: str | None,
    info: dict[str, Any],
    rounds: Sequence[float],
) -> _Measured:
    family = family_of(record)
    params = {
        "stack": record.stack.name,
        "hardware": family.machine,
        "dtype": record.dtype_request,
        "recipe": family.recipe,
        "measured": what,
    }
    group = f"{family.name}: {what} ({_conditions(record)})"
    return _Measured(name, group, params, param, info, rounds)


def _conditions(record: Record) -> str:
    """Return what two speeds must share beside the cell's own name, in words."""
    keys = Comparable.of(record).model_dump(exclude=_SAID)
    return ", ".join(f"{key} {value}" for key, value in keys.items() if value not in (None, False))


def _extra_info(cell: CellResult) -> dict[str, Any]:
    record = cell.record
    return {
        "outcome": cell.outcome,
        "verdicts": {verdict.check: verdict.outcome for verdict in cell.verdicts},
        "emulated": record.hardware.emulation,
        "figures": _finite(all_figures(record)),
        "figures_of_repeats": [_finite(all_figures(repeat)) for repeat in cell.repeats],
        "eval_loss": _finite(dict(enumerate(record.eval_losses))),
        "release": record.stack.release,
        "lock_digest": record.stack.lock_digest,
        "key": record.key,
        "measured_at": record.started_at,
        "reused": cell.reused,
    }


def _finite(figures: Mapping[Any, float]) -> dict[Any, float | str]:
    """Write NaN and infinities as text: outside Python they are no JSON, and a parser gives up."""
    return {name: value if math.isfinite(value) else str(value) for name, value in figures.items()}
