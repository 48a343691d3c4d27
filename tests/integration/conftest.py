"""Real fine-tunes, shared by the tests of a session. Stacks come from the user's cache."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from harness.gate import CellResult, judge_cells
from harness.locations import FIXTURES
from harness.plan import Options, Plan

Judge = Callable[..., CellResult]
JudgeAll = Callable[[list[str]], dict[str, CellResult]]


@pytest.fixture(scope="session", autouse=True)
def reports_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A record store of this session's own, so that nothing is reused from an earlier one."""
    folder = tmp_path_factory.mktemp("reports")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_REPORTS", str(folder))
        yield folder


@pytest.fixture(scope="session")
def judge(reports_folder: Path) -> Judge:
    """Run one cell for real and judge it, with a fault of fixtures/faults by name, or any by path."""

    def run(
        cell_id: str, fault: str | Path | None = None, timeout_s: float | None = None
    ) -> CellResult:
        path = FIXTURES / "faults" / f"{fault}.py" if isinstance(fault, str) else fault
        (cell,) = _judged(Options(fault=path, timeout_s=timeout_s), [cell_id])
        return cell

    return run


@pytest.fixture(scope="session")
def judge_all(reports_folder: Path) -> JudgeAll:
    """Run cells for real, as many at once as the machine takes, and judge them."""

    def run(cell_ids: list[str]) -> dict[str, CellResult]:
        return {cell.record.cell_id: cell for cell in _judged(Options(), cell_ids)}

    return run


def _judged(options: Options, cell_ids: list[str]) -> list[CellResult]:
    plan = Plan(options)
    runs = plan.runs([plan.matrix.cell(cell_id) for cell_id in cell_ids])
    results = plan.execute(runs, Console(file=io.StringIO()))
    return judge_cells((r.record, r.reused) for r in results)
