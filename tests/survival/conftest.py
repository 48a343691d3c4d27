"""How much of each failure there is, and the table of what was seen."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.record import write_json_atomically
from tests.survival.scene import Scene

_HEAD = ("failure", "how often", "lost", "recovery", "what came out")


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    failure: str
    often: str
    lost: str
    recovery: str
    came_out: str


@dataclass
class Figures:
    """What the session has seen."""

    rows: list[Figure] = field(default_factory=list)

    def add(
        self, failure: str, often: str, came_out: str, recovery: str = "", lost: int | None = None
    ) -> None:
        """Add a row.

        Args:
            failure: What was done to the harness.
            often: How often.
            came_out: Exit codes and verdicts.
            recovery: How long until all was well again.
            lost: Finished results that are gone or changed; None: there were none to lose.
        """
        said = "" if lost is None else str(lost)
        self.rows.append(Figure(failure, often, said, recovery, came_out))

    def markdown(self, command: str, seconds: float) -> str:
        """Return the document."""
        lines = [
            "# Faults survived",
            "",
            f"{datetime.now(UTC):%Y-%m-%d}, `{command}`, {seconds / 60:.0f} min.",
            "What each row means: [docs/survival.md](../docs/survival.md).",
            "",
            f"| {' | '.join(_HEAD)} |",
            "|---|---|---|---|---|",
        ]
        lines += [f"| {' | '.join(vars(row).values())} |" for row in self.rows]
        return "\n".join(lines) + "\n"


_FIGURES = pytest.StashKey[Figures]()
_STARTED = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of `nox -s survival`."""
    group = parser.getgroup("survival", "faults survived")
    group.addoption(
        "--all-faults", action="store_true", help="the whole amount, not a sample of it"
    )
    group.addoption("--survival-report", metavar="FILE", help="write the table, as Markdown")


def pytest_configure(config: pytest.Config) -> None:
    """Make room for the figures."""
    config.addinivalue_line("markers", "enduring: takes minutes; runs with --all-faults only")
    config.stash[_FIGURES], config.stash[_STARTED] = Figures(), time.monotonic()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes minutes, unless all is asked for."""
    if config.getoption("--all-faults"):
        return
    left_out = [item for item in items if item.get_closest_marker("enduring")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Print the table, and write it where it is asked for and all passed, to the end."""
    figures = config.stash[_FIGURES]
    if not figures.rows:
        return
    for row in figures.rows:
        terminalreporter.write_line(" | ".join(vars(row).values()))
    target = config.getoption("--survival-report")
    if target and exitstatus == pytest.ExitCode.OK:
        seconds = time.monotonic() - config.stash[_STARTED]
        text = figures.markdown("nox -s survival", seconds)
        write_json_atomically(Path(target), text)


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """The table."""
    return request.config.stash[_FIGURES]


@pytest.fixture
def all_faults(request: pytest.FixtureRequest) -> bool:
    """Whether the whole amount is asked for."""
    return bool(request.config.getoption("--all-faults"))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Eight quick cells; nothing of it is left running."""
    made = Scene.make(tmp_path / "scene", cells=8)
    yield made
    for process in made.processes():
        process.kill()
