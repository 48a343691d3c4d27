"""The gate as pytest: each check on each cell is one test.

`-k`, `-x`, `--lf`, JUnit and exit codes are the ones people know. The cells that the selected tests
need run first, several at once, then each test judges its record.
"""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console

from harness import reports
from harness.checks import all_checks
from harness.errors import HarnessError
from harness.gate import CellResult, GateResult
from harness.matrix import DEFAULT_MATRIX, Overrides, split_releases
from harness.plan import Options, Plan, Where, run_gate
from harness.reports import terminal
from harness.throughput.gate import CHECK, with_throughput
from harness.verdict import Outcome, Verdict


class Gate:
    """One session of the gate."""

    def __init__(self, config: pytest.Config) -> None:
        option = config.getoption
        self.plan = Plan(
            Options(
                matrix=Path(option("gate_matrix")),
                overrides=Overrides(
                    option("gate_model"),
                    option("gate_data"),
                    option("gate_scale"),
                    split_releases(option("gate_releases")),
                ),
                jobs=option("gate_jobs"),
                per_gpu=option("gate_per_gpu"),
                fresh=option("gate_fresh"),
                timeout_s=option("gate_timeout"),
                where=Where(option("gate_dispatch")),
                ray_address=option("gate_ray_address"),
            )
        )
        self.cells = {cell.id: cell for cell in self.plan.cells}
        self.results: dict[str, CellResult] = {}
        self._judge_more = with_throughput if option("gate_throughput") else None
        self.result: GateResult | None = None
        self.folder: Path | None = None

    def run(self, cell_ids: list[str], console: Console) -> None:
        """Run the cells that are not finished, judge all, and write the report."""
        cells = [self.cells[cell_id] for cell_id in cell_ids]
        with closing(self.plan):
            self.result, self.folder = run_gate(self.plan, cells, console, self._judge_more)
        self.results = {cell.record.cell_id: cell for cell in self.result.cells}


_GATE = pytest.StashKey[Gate]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the gate's options."""
    group = parser.getgroup("gate", "Gemma-3 LoRA gate")
    add = group.addoption
    add("--matrix", dest="gate_matrix", default=DEFAULT_MATRIX, help="matrix file")
    add("--model", dest="gate_model", metavar="PATH", help="a checkpoint in place of the fixture")
    add("--data", dest="gate_data", metavar="PATH", help=".tsv or .jsonl of source / target pairs")
    add(
        "--scale",
        dest="gate_scale",
        metavar="NAME",
        help="an entry of the matrix file's table scales",
    )
    add("--releases", dest="gate_releases", metavar="A,B", help="Unsloth releases to compare")
    add("--jobs", dest="gate_jobs", type=int, metavar="N", help="cells at once")
    add(
        "--per-gpu",
        dest="gate_per_gpu",
        type=int,
        default=1,
        metavar="N",
        help="cells that share a GPU: decisions and losses, no speeds",
    )
    add("--fresh", dest="gate_fresh", action="store_true", help="run finished cells again")
    add(
        "--dispatch",
        dest="gate_dispatch",
        choices=list(Where),
        default=Where.LOCAL,
        help="where cells run: this machine, or a Ray cluster",
    )
    add("--ray-address", dest="gate_ray_address", metavar="ADDRESS", help="of a Ray cluster")
    add(
        "--throughput",
        dest="gate_throughput",
        action="store_true",
        help="compare the speed of neighbouring releases, too",
    )
    add("--cell-timeout", dest="gate_timeout", type=float, metavar="S", help="seconds for one cell")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse options that do not go together."""
    if config.getoption("gate_throughput") and config.getoption("gate_dispatch") != Where.LOCAL:
        raise pytest.UsageError(
            "--throughput compares live processes on this machine: leave --dispatch out, or compare in a "
            "run of its own."
        )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Turn `gate_cell` and `gate_check` into one test for each check on each cell."""
    if "gate_cell" not in metafunc.fixturenames:
        return
    checks = [check.name for check in all_checks()]
    checks += [CHECK] if metafunc.config.getoption("gate_throughput") else []
    metafunc.parametrize("gate_check", checks, scope="session")
    cells = list(_gate(metafunc.config).cells)
    metafunc.parametrize("gate_cell", cells, ids=cells, scope="session")


def _gate(config: pytest.Config) -> Gate:
    if _GATE not in config.stash:
        try:
            config.stash[_GATE] = Gate(config)
        except HarnessError as error:
            pytest.exit(str(error), returncode=error.exit_code)
    return config.stash[_GATE]


@pytest.hookimpl(tryfirst=True, wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[None]:
    """Run the selected cells before the first test."""
    needed = dict.fromkeys(
        item.callspec.params["gate_cell"]
        for item in session.items
        if hasattr(item, "callspec") and "gate_cell" in item.callspec.params
    )
    if needed and not session.config.option.collectonly:
        capture = session.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            console = Console(width=None if os.isatty(1) else 160)
            console.print()
            try:
                _gate(session.config).run(list(needed), console)
            except HarnessError as error:
                pytest.exit(str(error), returncode=error.exit_code)
    return (yield)


@pytest.fixture
def gate_verdict(gate_cell: str, gate_check: str, request: pytest.FixtureRequest) -> Verdict:
    """The verdict of one check on one cell."""
    result = request.config.stash[_GATE].results[gate_cell]
    found = [v for v in result.verdicts if v.check == gate_check]
    if gate_check == CHECK and not found:
        pytest.skip("not compared: the first of its releases, emulated, not passing, or a twin")
    verdict = found[0]
    for name in ("outcome", "message"):
        request.node.user_properties.append((name, str(getattr(verdict, name))))
    return verdict


@pytest.fixture
def gate_rerun(gate_cell: str, request: pytest.FixtureRequest) -> str:
    """The command that runs the cell again."""
    return request.config.stash[_GATE].results[gate_cell].rerun


def apply(verdict: Verdict, rerun: str) -> None:
    """Say a verdict in pytest's terms: red fails, a non-answer skips with its reason.

    Args:
        verdict: Of one check on one cell.
        rerun: The command that runs the cell again.
    """
    if verdict.outcome.is_red:
        lines = [f"{verdict.outcome}: {verdict.message}"]
        lines += [f"  cause: {cause}" for cause in verdict.diagnosis]
        lines += [f"  do:    {advice}" for advice in verdict.advice]
        lines += [f"  again: {rerun}"]
        pytest.fail("\n".join(lines), pytrace=False)
    if verdict.outcome is not Outcome.PASS:
        pytest.skip(f"{verdict.outcome}: {verdict.message}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Never green when a cell has no answer."""
    gate = session.config.stash.get(_GATE, None)
    if gate and gate.result and exitstatus == 0:
        session.exitstatus = gate.result.exit_code


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table, and where the report is."""
    gate = config.stash.get(_GATE, None)
    if not gate or not gate.result or not gate.folder:
        return
    console = Console(
        file=terminalreporter._tw._file, width=max(100, terminalreporter._tw.fullwidth)
    )
    console.print()
    terminal.show(gate.result, gate.folder / reports.PAGE_NAME, console)
