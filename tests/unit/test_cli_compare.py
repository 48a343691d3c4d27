from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli import compare as cli_compare
from harness.cli import main as cli
from harness.errors import SelectionError
from harness.matrix import Overrides, load_matrix
from harness.reports import throughput
from harness.throughput.answer import Answer, Series
from harness.throughput.pairs import Contest
from harness.throughput.sequential import decide

CELL = "reference-2026.10.9/cpu/float32/mild"
SPREAD = (-0.01, 0.0, 0.01, 0.0)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Contest]:
    """Comparisons of which every pair says what the test wants."""
    contests: list[Contest] = []

    def compare(contest: Contest, *_: object, **__: object) -> Answer:
        contests.append(contest)
        b = contest.b.cell.id
        series = Series(
            a=contest.a.cell.id, b=b, fault=None, slowdown=0.0, device="d", emulation=""
        )
        return Answer(series, {"step": decide([contest.slowdown + one for one in SPREAD])})

    monkeypatch.setenv("HARNESS_REPORTS", str(tmp_path))
    monkeypatch.setattr(cli_compare, "compare_pairs", compare)
    monkeypatch.setattr(throughput, "render", lambda answer: "the table")
    monkeypatch.setattr(throughput, "markdown", lambda *_: "the table")
    return contests


def test_a_fault_and_its_level_are_bs(asked: list[Contest]) -> None:
    sleep = Path("fixtures/slowdowns/sleep.py").resolve()
    options = ["--throughput", "--fault", str(sleep), "--level", "0.25", "--max-pairs", "6"]
    done = CliRunner().invoke(cli.app, ["compare", CELL, CELL, *options])
    assert done.exit_code == 1
    (contest,) = asked
    assert (contest.a.fault_file, contest.b.fault_file) == (None, sleep)
    assert (contest.slowdown, contest.design.max_pairs) == (0.25, 6)


def test_not_slower_ends_with_0(asked: list[Contest]) -> None:
    done = CliRunner().invoke(cli.app, ["compare", CELL, CELL, "--throughput"])
    assert (done.exit_code, asked[0].a.key) == (0, asked[0].b.key)
    assert "throughput.md" in done.output


@pytest.mark.parametrize(
    ("options", "says"), [([], "--throughput"), (["--throughput", "--level", "0.1"], "--fault")]
)
def test_what_is_missing_is_named(asked: list[Contest], options: list[str], says: str) -> None:
    done = CliRunner().invoke(cli.app, ["compare", CELL, CELL, *options])
    assert done.exit_code == 2
    assert says in done.output
    assert not asked


def test_ctrl_c_ends_with_2(asked: list[Contest], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> Answer:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli_compare, "compare_pairs", interrupted)
    done = CliRunner().invoke(cli.app, ["compare", CELL, CELL, "--throughput"])
    assert done.exit_code == 2
    assert "finished pairs are kept" in done.output


@pytest.mark.parametrize(
    ("releases", "gpus", "cell"),
    [
        (("2026.10.9", "2026.10.9"), [], "cpu/auto/mild"),
        (("2026.10.9", "frontier"), [], "cpu/auto/mild"),
        # The older one has no CPU backend: only emulated cards are left.
        (("2026.10.8", "2026.10.9"), [], "t4-emulated/auto/mild"),
        (("2026.10.8", "2026.10.9"), ["h100"], "h100/auto/mild"),
    ],
)
def test_releases_stand_for_a_cell_that_both_have(
    releases: tuple[str, str], gpus: list[str], cell: str
) -> None:
    matrix = load_matrix(gpus=gpus, overrides=Overrides(releases=releases))
    ids = cli_compare.common_cell(matrix, *releases)
    assert [one.split("/", 1)[1] for one in ids] == [cell, cell]


def test_releases_that_share_no_cell_are_an_error() -> None:
    with pytest.raises(SelectionError, match="share"):
        cli_compare.common_cell(load_matrix(), "2026.10.9", "1999.1.1")
