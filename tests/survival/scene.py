"""Folders of a harness's own, with stand-in stacks, and what is seen of them from outside."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from harness import reports
from harness.containment.command import OWN_PYTHON
from harness.locations import PACKAGE, cache_dir
from harness.record import Record, read_record
from harness.stacks import environments
from harness.stacks.stack import load_stack
from tests.survival import stand_in

ROOT = Path(__file__).parent.parent.parent
STACK = "reference-2026.10.9"
LIMIT_S = 120.0
"""No command of a test may take longer."""

Snapshot = dict[Path, tuple[int, int, bytes]]


def lost(before: Snapshot, after: Snapshot) -> int:
    """Count records that are gone, or are not the very file that they were."""
    return sum(after.get(path) != was for path, was in before.items())


@dataclass
class Ended:
    """How a command ended."""

    code: int
    output: str
    seconds: float


@dataclass
class Scene:
    """One harness's folders below `root`, and its cells.

    Attributes:
        root: Holds all of it; its path is in the environment of every process that belongs to it. The folder
            `shown` in it can be read by cells.
        cells: Ids of the matrix's cells.
        extra: More environment variables.
    """

    root: Path
    cells: list[str]
    extra: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, root: Path, cells: int, timeout_s: float = 60) -> "Scene":
        """Make the folders, a matrix, and stand-ins where the harness would find its built stack."""
        names = [f"cell-{number}" for number in range(cells)]
        recipes = "".join(
            f'[recipes.{name}]\nmodel = "fixture:mild"\ntrain_rows = {40 + number}\neval_rows = 10\n'
            for number, name in enumerate(names)
        )
        for folder in ("cache", "reports", "tmp", "baselines", "shown"):
            (root / folder).mkdir(parents=True)
        (root / "matrix.toml").write_text(
            f"schema = 1\nreleases = ['2026.10.9']\n[defaults]\ntimeout_s = {timeout_s}\n{recipes}"
            "[[cells]]\nstacks = ['reference']\nhardware = ['cpu']\ndtypes = ['float32']\n"
            f"recipes = {json.dumps(names)}\n"
        )
        scene = cls(root, [f"{STACK}/cpu/float32/{name}" for name in names])
        scene.stand_in()
        return scene

    @property
    def environment(self) -> dict[str, str]:
        """Variables of its processes."""
        return {
            **os.environ,
            "HARNESS_CACHE": str(self.root / "cache"),
            "HARNESS_REPORTS": str(self.root / "reports"),
            "HARNESS_BASELINES": str(self.root / "baselines"),
            "TMPDIR": str(self.root / "tmp"),
            "HARNESS_READABLE": str(self.root / "shown"),
            **self.extra,
        }

    def stand_in(self) -> None:
        """Put the stand-in where the built stack's interpreter would be."""
        folder = environments.folder_of(load_stack(STACK, "cpu")).relative_to(cache_dir())
        python = self.root / "cache" / folder / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f"#!{OWN_PYTHON}\n{Path(stand_in.__file__).read_text()}")
        python.chmod(0o755)
        (python.parent.parent / "stack.json").write_text("{}")

    # --- commands

    def run_command(self, *more: str, cells: Sequence[str] = (), jobs: int = 4) -> list[str]:
        """`harness run` over cells, by default all."""
        matrix = ["--matrix", str(self.root / "matrix.toml"), "--jobs", str(jobs)]
        return [sys.executable, "-m", "harness", "run", *(cells or self.cells), *matrix, *more]

    def gate_command(self) -> list[str]:
        """The gate as pytest."""
        command = [sys.executable, "-m", "pytest", "-q", "-rN", "-p", "no:cacheprovider", "--tb=no"]
        return [*command, "tests/matrix", "--matrix", str(self.root / "matrix.toml"), "--jobs=4"]

    def preloaded_command(self) -> list[str]:
        """The same cells, forked from a process that has imported the stack."""
        module = "tests.survival.preloaded_session"
        return [sys.executable, "-m", module, str(self.root / "matrix.toml"), *self.cells]

    @contextmanager
    def start(self, command: Sequence[str]) -> Iterator["subprocess.Popen[bytes]"]:
        """Start a command in a session of its own; its output goes to `output.txt`."""
        with (
            (self.root / "output.txt").open("wb") as output,
            subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def end(self, command: Sequence[str]) -> Ended:
        """Run a command to its end."""
        start = time.monotonic()
        with self.start(command) as process:
            code = process.wait(LIMIT_S)
        return Ended(code, self.output, time.monotonic() - start)

    @property
    def output(self) -> str:
        """What the last command printed."""
        return (self.root / "output.txt").read_text(errors="replace")

    # --- what is there

    def record_files(self) -> list[Path]:
        """Every record file."""
        return sorted((self.root / "reports").glob("records/*/*.json"))

    def records(self) -> list[Record]:
        """Every record; a file that is none raises."""
        return [read_record(path) for path in self.record_files()]

    def snapshot(self) -> Snapshot:
        """Inode, time and bytes of every record file."""
        return {
            path: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
            for path in self.record_files()
        }

    def run_folders(self) -> list[Path]:
        """Every report folder."""
        return sorted((self.root / "reports" / "runs").glob("*/"))

    def whole_reports(self) -> list[Path]:
        """Every report folder that has all its files; one whose result cannot be read raises."""
        names = (
            reports.RESULT_NAME,
            reports.PAGE_NAME,
            reports.SUMMARY_NAME,
            reports.BENCHMARK_NAME,
        )
        results = [folder for folder in self.run_folders() if reports.is_run(folder)]
        for folder in results:
            reports.load(folder)
        return [folder for folder in results if all((folder / name).is_file() for name in names)]

    def leftovers(self) -> list[Path]:
        """Work folders and half-written files."""
        return [*(self.root / "tmp").iterdir(), *self.root.rglob(".*.partial")]

    def processes(self) -> list[psutil.Process]:
        """Every process that belongs to it, by its environment."""
        found = []
        for process in psutil.process_iter():
            try:
                mine = process.pid != os.getpid() and str(self.root) in str(process.environ())
                if mine and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def payloads(self) -> list[psutil.Process]:
        """Every payload process, without what contains it: the stand-in with the payload's folder."""
        return [p for p in self.processes() if str(PACKAGE / "payload") in _command(p)[:3]]

    def wait_for_silence(self, limit_s: float = 20.0) -> float:
        """Wait until none of its processes is left; return the seconds it took."""
        start = time.monotonic()
        while left := self.processes():
            if time.monotonic() - start > limit_s:
                raise AssertionError(
                    f"still there after {limit_s:g} s: {list(map(_command, left))}"
                )
            time.sleep(0.02)
        return time.monotonic() - start


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
