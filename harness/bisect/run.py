"""One call of `harness bisect`: the history, both ends, the search, the packages."""

import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from harness import __version__
from harness.bisect import history
from harness.bisect.bisection import Bisection, Packages, Question
from harness.bisect.criterion import Criterion
from harness.bisect.history import Release
from harness.bisect.neighbours import separate_packages
from harness.bisect.prefetch import Prefetch
from harness.bisect.probe import Probe
from harness.bisect.prober import Prober
from harness.bisect.search import Answer, likely_next, next_position, span
from harness.errors import IncompleteError, SameEndsError
from harness.locations import cache_dir
from harness.plan import Plan, command_line
from harness.stacks import as_of_day, environments
from harness.stacks import stack as stacks
from harness.stacks.environments import Say


def bisect(
    plan: Plan,
    question: Question,
    console: Console,
    say: Say,
    *,
    attempts: int = 3,
    packages: bool = True,
) -> Bisection:
    """Find the first release that answers as the later end does, and which of its packages did it.

    Args:
        plan: Where cells run; its fault is in every run.
        question: Both ends, the cell and the check.
        console: Shows the progress of cells.
        say: Told each answer.
        attempts: Readings at most of a release whose answer is not certain.
        packages: Whether packages are separated in the end.

    Raises:
        SameEndsError: The ends do not differ as the question says.
        IncompleteError: An end gives no answer.
        HarnessError: A name that does not exist, or a registry that cannot be asked.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    criterion = Criterion(tuple(question.checks))
    prober = Prober(plan, question.cell, question.family, criterion, attempts, console, say)
    # Before anything is asked of the registry: a typing error is told at once.
    prober.run_of(stacks.releases()[-1])
    found = history.between(question.good, question.bad)
    releases = found.releases
    say(
        f"{len(releases)} releases from {_dated(releases[0])} to {_dated(releases[-1])}; about "
        f"{(len(releases) - 2).bit_length()} between the ends must be asked"
    )
    free, built = _free(), _environments()
    with Prefetch() as prefetch:
        ends = _ends(prober, question, releases)
        asked = question.model_copy(update={"checks": list(prober.criterion.checks)})
        say(f"asked of each: {', '.join(asked.checks)}")
        for probe in ends:
            _tell(say, probe)
        probes = _search(prober, releases, ends, prefetch, say)
        known = {n: probes[r.version].answer for n, r in enumerate(releases) if r.version in probes}
        left = span(known)
        before, after = (probes[releases[n].version] for n in (left.before, left.after))
        separated: Packages | None = None
        if packages:
            say(f"separating the packages of {before.what} and {after.what}")
            separated = separate_packages(prober, before, after, prefetch)
    return Bisection(
        command=command_line(),
        started_at=started.isoformat(timespec="seconds"),
        duration_s=time.monotonic() - clock,
        harness_version=__version__,
        question=asked,
        days={release.version: f"{release.uploaded:%Y-%m-%d}" for release in releases},
        left_out=list(found.left_out),
        probes=list(probes.values()),
        before=before.what,
        after=after.what,
        skipped=[releases[n].version for n in left.skipped],
        packages=separated,
        cells=prober.cells,
        environments=len(_environments() - built),
        disk_bytes=max(0, free - _free()),
    )


def _ends(prober: Prober, question: Question, releases: tuple[Release, ...]) -> list[Probe]:
    ends = releases[0], releases[-1]
    of = {probe.what: probe for probe in prober.releases(ends)}
    for probe in of.values():
        if not probe.stack or prober.cell_of(probe).outcome.is_unanswered_run:
            raise _unanswered(question, probe)
    good, bad = (prober.cell_of(of[name]) for name in (question.good, question.bad))
    prober.criterion = prober.criterion.between(good, bad)
    if not prober.criterion.checks:
        raise _same(question, of, "Nothing is red at the bad end that is not at the good one")
    # The same runs, asked the question that both of them make.
    of = {probe.what: probe for probe in prober.releases(ends)}
    for probe in of.values():
        if probe.answer is Answer.SKIP:
            raise _unanswered(question, probe)
    answers = of[question.good].answer, of[question.bad].answer
    if answers == (Answer.BAD, Answer.GOOD):
        raise _same(question, of, "Swap --good and --bad")
    if answers != (Answer.GOOD, Answer.BAD):
        raise _same(question, of, "Give two releases that differ")
    return [of[release.version] for release in ends]


def _unanswered(question: Question, probe: Probe) -> IncompleteError:
    return IncompleteError(
        f"the end {probe.what} gives no answer to {', '.join(question.checks)}: {probe.reason}. Choose "
        "another release, or another --check."
    )


def _same(question: Question, ends: Mapping[str, Probe], advice: str) -> SameEndsError:
    said = "; ".join(f"{name} is {probe.answer} ({probe.reason})" for name, probe in ends.items())
    checks = ", ".join(question.checks)
    return SameEndsError(f"by {checks} the ends are not good and bad: {said}. {advice}.")


def _search(
    prober: Prober,
    releases: tuple[Release, ...],
    ends: list[Probe],
    prefetch: Prefetch,
    say: Say,
) -> dict[str, Probe]:
    by_version = {release.version: release for release in releases}
    probes = {probe.what: probe for probe in ends}
    known = {0: ends[0].answer, len(releases) - 1: ends[1].answer}

    def build(version: str) -> Path:
        release = by_version[version]
        stack = as_of_day.release_of(version, release.uploaded)
        return environments.ensure(prober.run_of(stack).experiment.stack)

    while (position := next_position(known)) is not None:
        prefetch.start([releases[n].version for n in likely_next(known)], build)
        (probe,) = prober.releases([releases[position]])
        probes[probe.what] = probe
        known[position] = probe.answer
        left = span(known)
        _tell(say, probe)
        untried = len(left.untried)
        if untried:
            say(
                f"{untried} releases left between {_dated(releases[left.before])} and "
                f"{_dated(releases[left.after])}, about {untried.bit_length()} to ask"
            )
    return probes


def _tell(say: Say, probe: Probe) -> None:
    said = f"{probe.answer} {probe.what}: {probe.reason}"
    say(said + "".join(f" ({departure})" for departure in probe.departures))


def _dated(release: Release) -> str:
    return f"{release.version} ({release.uploaded:%Y-%m-%d})"


def _environments() -> set[Path]:
    return set((cache_dir() / "stacks").glob("*/stack.json"))


def _free() -> int:
    folder = next(path for path in (cache_dir(), *cache_dir().parents) if path.exists())
    return shutil.disk_usage(folder).free
