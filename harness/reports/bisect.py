"""A bisection as a table for a terminal, as Markdown and as JSON."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.bisect.bisection import Bisection
from harness.bisect.probe import Probe
from harness.bisect.search import Answer
from harness.locations import new_run_dir
from harness.record import write_json_atomically
from harness.reports.markdown_text import code, escape
from harness.reports.wording import clean, count, seconds, short, size

_TITLES = ("release", "day", "answer", "took", "cells", "why")
_SYMBOLS = {Answer.GOOD: "✓", Answer.BAD: "✗", Answer.SKIP: "?"}
_LONGEST = 300
_LONGEST_SHOWN = 160


def render(found: Bisection) -> RenderableType:
    """Return the tables for a terminal: every release that was asked, every mixture, the answer."""
    parts: list[RenderableType] = [_table(_releases(found))]
    if found.packages and found.packages.probes:
        parts += [Text(), _table(_mixtures(found.packages.probes))]
    parts += [Text(), *(Text(line, "bold") for line in _answer(found))]
    return Group(*parts, *(Text(line) for line in _explained(found)))


def markdown(found: Bisection) -> str:
    """Return the same as a Markdown document."""
    lines = [f"# Bisection: {code(found.command, _LONGEST)}", ""]
    for line in _answer(found):
        lines += [f"**{escape(line, 1000)}**", ""]
    lines += _markdown_table(_releases(found))
    if found.packages and found.packages.probes:
        lines += ["", f"Packages of {found.before} and {found.after} mixed:", ""]
        lines += _markdown_table(_mixtures(found.packages.probes))
    lines += ["", *(f"- {escape(line, 1000)}" for line in _explained(found))]
    return "\n".join(lines) + "\n"


def write(found: Bisection) -> tuple[Path, Path]:
    """Write bisect.json and bisect.md into a folder of this call's own; return their paths.

    Raises:
        StorageError: Disk full or folder not writable.
    """
    folder = new_run_dir("bisect-")
    data, page = folder / "bisect.json", folder / "bisect.md"
    write_json_atomically(data, found.model_dump_json(indent=1) + "\n")
    write_json_atomically(page, markdown(found))
    return data, page


def _answer(found: Bisection) -> Iterator[str]:
    yield f"{found.sentence}."
    if found.packages:
        yield f"{found.packages.sentence}."


def _explained(found: Bisection) -> Iterator[str]:
    question = found.question
    fault = f" with fault {question.fault}" if question.fault else ""
    yield (
        f"Asked: {', '.join(question.checks)} of {question.family}/{question.cell}{fault}, good {question.good}, bad "
        f"{question.bad}."
    )
    mixtures = found.packages.probes if found.packages else []
    kept = sum(probe.reused for probe in (*found.probes, *mixtures))
    yield (
        f"{count(len(found.days), 'release')} in that range; {len(found.probes)} asked, "
        f"{len(found.without_answer)} of them without an answer; {count(len(mixtures), 'mixture')} of packages."
    )
    yield (
        f"{count(found.cells, 'cell')} run in {seconds(found.duration_s)}, {kept} read from kept records; "
        f"{count(found.environments, 'environment')} built, the disk's free space fell by "
        f"{size(found.disk_bytes)}."
    )
    if "emulated" in question.cell:
        yield "Emulated hardware: dtype decisions are the library's own, numbers are a CPU's."
    yield from (f"{probe.what}: {said}." for probe in found.probes for said in probe.departures)
    if found.packages:
        yield from (f"{said}." for said in found.packages.levelled)
    yield from (f"{said}." for said in found.left_out)


def _releases(found: Bisection) -> Iterator[tuple[str, ...]]:
    yield _TITLES
    order = list(found.days)
    for probe in sorted(found.probes, key=lambda probe: order.index(probe.what)):
        yield (probe.what, found.days[probe.what], *_rest(probe))


def _mixtures(probes: list[Probe]) -> Iterator[tuple[str, ...]]:
    yield ("moved", "stack", *_TITLES[2:])
    for probe in probes:
        yield (probe.what, probe.stack, *_rest(probe))


def _rest(probe: Probe) -> tuple[str, ...]:
    runs = str(probe.ran) if not probe.reused else f"{probe.ran} + {probe.reused} kept"
    answer = f"{_SYMBOLS[probe.answer]} {probe.answer}"
    return answer, seconds(probe.seconds), runs, clean(probe.reason)


def _table(rows: Iterator[tuple[str, ...]]) -> Table:
    view = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for title in next(rows):
        view.add_column(title, overflow="fold")
    for row in rows:
        view.add_row(*(Text(short(cell, _LONGEST_SHOWN)) for cell in row))
    return view


def _markdown_table(rows: Iterator[tuple[str, ...]]) -> list[str]:
    titles = next(rows)
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    return lines + [f"| {' | '.join(escape(cell, _LONGEST) for cell in row)} |" for row in rows]
