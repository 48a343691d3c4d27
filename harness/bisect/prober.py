"""Ask releases, and mixtures of two, the question: what is kept is read, the rest runs for real."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console

from harness.bisect.criterion import Criterion, Reading
from harness.bisect.history import Release
from harness.bisect.probe import Probe, settle
from harness.bisect.search import Answer
from harness.cell_result import CellResult
from harness.dispatch.dispatcher import Result, Run
from harness.gate import judge_cells
from harness.locations import reports_dir
from harness.plan import Plan
from harness.stacks import as_of_day
from harness.stacks.environments import Say
from harness.stacks.uv_tool import NoSolutionError
from harness.store import RecordStore

FOLDER = "records"
"""Below the reports folder: what `harness run` has measured is not measured again."""


Asking = Generator[Sequence[Run], Sequence[Result], Probe]
"""Yields what must run next, is sent the results, returns what they come to."""


@dataclass
class Prober:
    """Asks one question on one cell.

    Attributes:
        plan: Where cells run.
        cell: Hardware, dtype and recipe: `t4-emulated/auto/hot`.
        family: Of the stacks.
        criterion: The question.
        attempts: Readings at most, where one is not certain.
        cells: How many cells were run.
    """

    plan: Plan
    cell: str
    family: str
    criterion: Criterion
    attempts: int
    console: Console
    say: Say
    cells: int = 0
    _judged: dict[str, CellResult] = field(default_factory=dict)
    _done: dict[Run, Result] = field(default_factory=dict)

    def releases(self, asked: Sequence[Release]) -> list[Probe]:
        """Ask releases, as many at once as the machine takes."""
        return self._drive([self._release(release) for release in asked])

    def mixtures(self, asked: Mapping[str, str]) -> list[Probe]:
        """Ask kept locks, by what to call them."""
        return self._drive([self._stack(what, stack, ()) for what, stack in asked.items()])

    def cell_of(self, probe: Probe) -> CellResult:
        """Return the judged cell behind a probe, its last if it was repeated."""
        return self._judged[probe.stack]

    def run_of(self, stack: str) -> Run:
        """Return the first run of a stack."""
        cell = self.plan.matrix.cell(f"{self.family}-{stack}/{self.cell}")
        return self.plan.once(cell)

    def _release(self, release: Release) -> Asking:
        try:
            stack = as_of_day.release_of(release.version, release.uploaded, say=self.say)
        except NoSolutionError as error:
            return Probe(
                what=release.version, stack="", answer=Answer.SKIP, reason=_no_solution(error)
            )
        probe, broken = yield from self._measure(release.version, stack, ())
        lent = as_of_day.lent_overrides(release.version, release.uploaded, probe.reason)
        if not broken or lent is None or stack == release.version:
            return probe
        lender, overrides = lent
        pins = ", ".join(override.requirement for override in overrides)
        said = f"resolved with {pins} as {lender} is: untouched it ended as {probe.reason}"
        try:
            other = as_of_day.release_of(release.version, release.uploaded, overrides, self.say)
        except NoSolutionError:
            return probe
        if other == stack:
            return probe
        self.say(f"{release.version} did not train as of its day ({probe.reason}); with {pins}")
        helped, still_broken = yield from self._measure(release.version, other, (said,))
        if still_broken:
            return probe.with_runs_of(helped)
        return helped.with_runs_of(probe)

    def _stack(self, what: str, stack: str, said: tuple[str, ...]) -> Asking:
        probe, _ = yield from self._measure(what, stack, said)
        return probe

    def _measure(
        self, what: str, stack: str, said: tuple[str, ...]
    ) -> Generator[Sequence[Run], Sequence[Result], tuple[Probe, bool]]:
        first = self.run_of(stack)
        readings: list[Reading] = []
        done: list[Result] = []
        while (settled := settle(readings, self.attempts)) is None:
            start = len(done)
            runs = [Run(first.experiment, start + n) for n in range(self.criterion.records)]
            results = yield runs
            done += results
            (cell,) = judge_cells((result.record, result.reused) for result in results)
            readings.append(self.criterion.read(cell))
        self._judged[stack] = cell
        probe = Probe(
            what=what,
            stack=stack,
            answer=settled.answer,
            reason=settled.reason,
            seconds=sum(result.record.duration_s for result in done),
            ran=sum(not result.reused for result in done),
            reused=sum(result.reused for result in done),
            departures=said,
        )
        return probe, settled.is_broken

    def _drive(self, asking: Sequence[Asking]) -> list[Probe]:
        probes: dict[int, Probe] = {}
        wanted: dict[int, Sequence[Run]] = {}
        sent: dict[int, Sequence[Result] | None] = dict.fromkeys(range(len(asking)))
        while sent:
            for number, results in sent.items():
                try:
                    # A generator is started with None.
                    wanted[number] = asking[number].send(results)  # type: ignore[arg-type]
                except StopIteration as end:
                    probes[number] = end.value
            runs = [run for several in wanted.values() for run in several]
            found = dict(zip(runs, self._execute(runs), strict=True))
            sent = {number: [found[run] for run in several] for number, several in wanted.items()}
            wanted = {}
        return [probes[number] for number in range(len(asking))]

    def _execute(self, runs: Sequence[Run]) -> list[Result]:
        store = RecordStore(reports_dir() / FOLDER)
        # What this call has measured holds for it, even where nothing that was kept does.
        new = [run for run in dict.fromkeys(runs) if run not in self._done]
        if not self.plan.options.fresh:
            for run in new:
                record = store.finished(run.experiment, run.repeat, or_crashed=True)
                if record is not None:
                    self._done[run] = Result(run, record, reused=True)
        missing = [run for run in new if run not in self._done]
        if missing:
            results = self.plan.execute(missing, self.console, FOLDER)
            self._done |= dict(zip(missing, results, strict=True))
            self.cells += sum(not result.reused for result in results)
        return [self._done[run] for run in runs]


def _no_solution(error: NoSolutionError) -> str:
    return " ".join(str(error).split())
