"""A window on a described H100: order, budget, resumption, what comes back. Nothing here is measured."""

import io
import json
import signal
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from harness import plan
from harness.cli.main import app
from harness.dispatch import local
from harness.errors import ConfigError, CorruptRecordError, SelectionError
from harness.experiment import Experiment
from harness.hardware import Machine, detect
from harness.locations import FIXTURES, reports_dir
from harness.record import Conditions, Record
from harness.throughput import pairs
from harness.window import kept
from harness.window import run as window_run
from harness.window.budget import RESERVE_S, Budget
from harness.window.parts import DEFAULT_PARTS, read_parts
from harness.window.run import Reached, measure, state
from tests.unit.fake_cluster import gpu
from tests.unit.records import make_record

PARTS = """
schema = 1
[[parts]]
name = "long"
cells = ["unsloth-2026.10.9/gpu/bfloat16/shape-4b-16k"]
seconds = 300
[[parts]]
name = "short"
cells = ["unsloth-2026.10.9/gpu/auto/mild", "unsloth-2025.3.14/t4-over-gpu/auto/hot"]
seconds = 60
[[parts]]
name = "repeats"
do = "repeats"
cells = ["unsloth-2026.10.9/gpu/auto/mild", "reference-2026.10.9/gpu/bfloat16/mild"]
times = 3
seconds = 60
"""
LONG = "unsloth-2026.10.9/h100/bfloat16/shape-4b-16k"
SHORT = "unsloth-2026.10.9/h100/auto/mild"
OVER = "unsloth-2025.3.14/t4-over-h100/auto/hot"
REFERENCE = "reference-2026.10.9/h100/bfloat16/mild"


@dataclass
class Card:
    """Stands in for payload processes on a card: what was started, and how it ends.

    Attributes:
        takes: Seconds on the clock of the window, by cell.
    """

    now: float = 0.0
    started: list[str] = field(default_factory=list)
    experiments: list[Experiment] = field(default_factory=list)
    takes: float = 50.0
    status: dict[str, Any] = field(default_factory=dict)
    conditions: list[Conditions] = field(default_factory=list)
    act: Callable[[], object] = lambda: None

    def clock(self) -> float:
        return self.now

    def __call__(
        self, experiment: Experiment, machine: Any, repeat: int, *rest: Any, **_: Any
    ) -> Record:
        self.started.append(experiment.cell.id)
        self.experiments.append(experiment)
        self.act()
        self.now += self.takes
        return make_record(
            cell_id=experiment.cell.id,
            key=experiment.key,
            repeat=repeat,
            status=self.status.get(experiment.cell.id, "COMPLETED"),
            conditions=self.conditions,
        )


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Card:
    here = Machine(detect().cpu, (gpu("h100", "GPU-1"),))
    made = Card()
    monkeypatch.setattr(plan, "detect", lambda: here)
    monkeypatch.setattr(window_run, "detect", lambda: here)
    monkeypatch.setattr(local, "run_process", made)
    monkeypatch.setattr(local, "build_inputs", lambda experiment, say: Path())
    monkeypatch.setenv("HARNESS_REPORTS", str(tmp_path / "reports"))
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "parts.toml"
    path.write_text(PARTS)
    return path


def window(card: Card, file: Path, seconds: float = 10_000, *names: str) -> dict[str, Reached]:
    budget = Budget(seconds, card.clock)
    keep = file.parent / "window.tgz"
    console = Console(file=io.StringIO())
    return {
        reached.part.name: reached
        for reached in measure(read_parts(file, names), file, budget, console, keep)
    }


def test_everything_is_measured_in_the_order_of_the_file(card: Card, file: Path) -> None:
    found = window(card, file)
    assert card.started == [LONG, SHORT, OVER, *3 * [SHORT, REFERENCE]]
    assert not any(reached.left for reached in found.values())


def test_named_parts_are_measured_in_the_order_given(card: Card, file: Path) -> None:
    window(card, file, 10_000, "short", "long")
    assert card.started == [SHORT, OVER, LONG]


def test_what_does_not_fit_is_not_begun_and_something_shorter_is(card: Card, file: Path) -> None:
    found = window(card, file, 150 + RESERVE_S)
    assert card.started == [SHORT, OVER]
    assert found["long"].left == (LONG,)
    assert found["short"].left == ()


def test_the_next_window_goes_on_where_the_last_ended(card: Card, file: Path) -> None:
    window(card, file, 150 + RESERVE_S)
    first = len(card.started)
    found = window(card, file)
    assert card.started[first:] == [LONG, *3 * [SHORT, REFERENCE]]
    again = len(card.started)
    window(card, file)
    assert len(card.started) == again
    assert found["repeats"].done[:2] == (SHORT, REFERENCE)


def test_a_bare_machine_goes_on_from_what_was_brought_back(
    card: Card, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window(card, file, 10_000, "short")
    monkeypatch.setenv("HARNESS_REPORTS", str(tmp_path / "another machine"))
    assert kept.unpack(tmp_path / "window.tgz") == 3  # two records, and what was measured on
    assert window(card, file, 10_000, "short")["short"].left == ()
    assert card.started == [SHORT, OVER]


def test_the_end_of_a_window_comes_as_ctrl_c_does_and_only_inside_of_it() -> None:
    budget = Budget(RESERVE_S + 0.2)
    with pytest.raises(KeyboardInterrupt), budget.enforced():
        time.sleep(5)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert not budget.fits(0.1)
    with Budget(RESERVE_S + 60).enforced():
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_cell_that_is_cut_off_leaves_no_record_and_the_others_theirs(
    card: Card, file: Path
) -> None:
    def over() -> None:
        if card.started[-1] == OVER:
            raise KeyboardInterrupt

    card.act = over
    found = window(card, file, 10_000, "short")
    assert found["short"].done == (SHORT,)
    assert found["short"].left == (OVER,)
    with tarfile.open(file.parent / "window.tgz") as archive:
        records = [name for name in archive.getnames() if name.startswith("records/")]
    assert len(records) == 1


@pytest.mark.parametrize(("status", "again"), [("CRASHED", 0), ("OOM", 0), ("TIMEOUT", 1)])
def test_a_crash_is_an_answer_and_a_timeout_is_none(
    card: Card, file: Path, status: str, again: int
) -> None:
    card.status = {SHORT: status}
    window(card, file, 10_000, "short")
    window(card, file, 10_000, "short")
    assert card.started == [SHORT, OVER, *again * [SHORT]]


def test_a_disturbed_repeat_does_not_count(card: Card, file: Path) -> None:
    card.conditions = [Conditions(phase="train", cpu_others=0.5)]
    assert len(window(card, file, 10_000, "repeats")["repeats"].left) == 6
    card.conditions = []
    assert window(card, file, 10_000, "repeats")["repeats"].left == ()


def test_a_t4_is_shown_over_the_card_in_its_own_float16(card: Card, file: Path) -> None:
    window(card, file, 10_000, "short")
    target = card.experiments[1].target
    assert (target.kind, target.bf16, target.profile.slug) == ("emulated", False, "t4")
    assert (target.gpu_uuid, target.device_capability) == ("GPU-1", "9.0")
    assert card.experiments[1].stack.where == "gpu"
    assert not any("CPU build" in said for said in card.experiments[1].stack.overrides)


def test_a_stack_that_is_not_there_does_not_take_the_window_from_others(
    card: Card, file: Path
) -> None:
    file.write_text(PARTS.replace("unsloth-2025.3.14", "unsloth-2031.1.1"))
    found = window(card, file, 10_000, "short", "long")
    assert card.started == [LONG]
    assert "harness stack add" in found["short"].why[0]


def test_one_cell_that_cannot_run_here_does_not_take_the_part_from_others(
    card: Card, file: Path
) -> None:
    file.write_text(PARTS.replace("t4-over-gpu", "b200-over-gpu"))
    found = window(card, file, 10_000, "short")
    assert card.started == [SHORT]
    assert "below the 10.0" in found["short"].why[0]


def test_pairs_are_measured_and_settled_when_they_are_decided(
    card: Card, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []

    def compare(contest: pairs.Contest, console: Console) -> None:
        compared.append(contest.b.cell.id)

    monkeypatch.setattr(pairs, "compare", compare)
    monkeypatch.setattr(pairs, "is_decided", lambda contest: bool(compared))
    a, b = SHORT.replace("h100", "gpu").replace("10.9", "10.8"), SHORT.replace("h100", "gpu")
    file.write_text(
        f'schema = 1\n[[parts]]\nname = "pairs"\ndo = "pairs"\ncells = ["{a}", "{b}"]\nseconds = 9\n'
    )
    for _ in range(2):
        assert window(card, file)["pairs"].left == ()
    assert compared == [SHORT]


def test_what_comes_back_is_small_and_says_what_it_was_measured_with(
    card: Card, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "commit_of", lambda tree: "c0ffee")
    window(card, file)
    (reports_dir() / "records" / "tensors.safetensors").write_bytes(b"x" * 10**6)
    assert kept.pack(file.parent / "window.tgz") < 64 * 1024
    about = json.loads((reports_dir() / kept.ABOUT).read_text())
    assert about["cards"]["h100"]["name"] == "NVIDIA H100 80GB HBM3"
    assert kept.commit_in(reports_dir()) == "c0ffee"


def test_a_file_that_no_window_brought_back_is_named(card: Card, tmp_path: Path) -> None:
    (tmp_path / "window.tgz").write_text("nonsense")
    with pytest.raises(CorruptRecordError, match="not what a window brought back"):
        kept.unpack(tmp_path / "window.tgz")


def test_a_file_from_elsewhere_writes_nothing_outside_of_the_reports(
    card: Card, tmp_path: Path
) -> None:
    with tarfile.open(tmp_path / "window.tgz", "w:gz") as archive:
        (tmp_path / "evil").write_text("x")
        archive.add(tmp_path / "evil", "../escaped")
    with pytest.raises(CorruptRecordError, match="outside"):
        kept.unpack(tmp_path / "window.tgz")
    assert not (tmp_path / "escaped").exists()


def test_small_cells_share_the_card_where_their_part_says_so(card: Card, file: Path) -> None:
    together = Barrier(2, timeout=5)
    card.act = together.wait
    file.write_text(PARTS.replace("seconds = 60", "jobs = 2\nseconds = 60", 1))
    assert window(card, file, 10_000, "short")["short"].left == ()
    assert {e.parallel_cells for e in card.experiments} == {2}


# --- the command


def test_without_a_gpu_the_command_says_so_and_is_not_green(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(plan, "detect", lambda: replace(detect(), gpus=()))
    monkeypatch.setenv("HARNESS_REPORTS", str(tmp_path))
    done = CliRunner().invoke(app, ["window", "4b"])
    assert done.exit_code == 19
    assert "for a CUDA GPU, and there is none" in " ".join(done.output.split())


def test_the_command_measures_and_names_what_to_bring_back(card: Card, file: Path) -> None:
    words = ["window", "short", "--parts", str(file), "--kept", str(file.parent / "k.tgz")]
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, card.started) == (0, [SHORT, OVER])
    assert "k.tgz" in done.output.replace("\n", "")


def test_the_order_is_listed_for_a_card_that_is_not_here(file: Path) -> None:
    words = ["window", "--list", "--gpu", "h100", "--parts", str(file)]
    lines = CliRunner().invoke(app, words).output.splitlines()
    assert lines[1].strip() == LONG
    assert f"  {OVER}" in lines


def test_another_machines_cards_are_only_listed() -> None:
    assert CliRunner().invoke(app, ["window", "--gpu", "h100"]).exit_code == 2


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ("schema = 1", "schema = 2", ConfigError, "reads schema 1"),
        ('do = "repeats"', 'do = "dance"', ConfigError, "dance"),
        ("times = 3", "times = 2", ConfigError, "times"),
    ],
)
def test_a_broken_file_of_parts_is_refused(
    file: Path, old: str, new: str, error: type[Exception], message: str
) -> None:
    file.write_text(PARTS.replace(old, new))
    with pytest.raises(error, match=message):
        read_parts(file)


def test_pairs_are_of_two_and_unknown_parts_are_named(file: Path) -> None:
    with pytest.raises(SelectionError, match="long, short, repeats"):
        read_parts(file, ["middling"])
    file.write_text(PARTS.replace('name = "long"', 'name = "long"\ndo = "pairs"'))
    with pytest.raises(ConfigError, match="two cells"):
        read_parts(file)


# --- what ships


def test_the_shipped_parts_name_cells_that_exist_on_a_card() -> None:
    for part in read_parts():
        assert state(part, DEFAULT_PARTS, ["h100"]).why == ()


def test_the_shipped_parts_have_all_that_the_next_window_is_for() -> None:
    named = {
        part.name: state(part, DEFAULT_PARTS, ["h100"]).left for part in read_parts(DEFAULT_PARTS)
    }
    every = {cell_id for cells in named.values() for cell_id in cells}
    assert "unsloth-2026.10.9/h100/bfloat16/shape-4b-16k" in named["4b"]
    assert {"unsloth-2026.10.9/h100/nf4/shape-1b-1k"} <= set(named["precisions"])
    assert "unsloth-2025.3.14/t4-over-h100/auto/hot-marker" in named["issue-2032"]
    assert "unsloth-2026.10.9/t4-over-h100/auto/hot-everywhere" in named["gradients"]
    assert {name.split("/")[0] for name in named["pairs"]} == {
        "unsloth-2026.10.8",
        "unsloth-2026.10.9",
    }
    sizes, lengths = ("270m", "1b", "4b"), ("1k", "4k", "16k")
    for recipe in (f"shape-{size}-{length}" for size in sizes for length in lengths):
        assert f"reference-2026.10.9/h100/bfloat16/{recipe}" in every
        for release in ("2026.10.8", "2026.10.9"):
            for dtype in ("bfloat16", "float16", "nf4"):
                assert f"unsloth-{release}/h100/{dtype}/{recipe}" in every


def test_the_rehearsal_needs_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "detect", lambda: replace(detect(), gpus=()))
    rehearsal = FIXTURES / "window-rehearsal.toml"
    for part in read_parts(rehearsal):
        assert state(part, rehearsal).why == ()
