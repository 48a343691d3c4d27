"""The doctor's answer, for a terminal and for a machine."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.doctor.memory_advice import Suggestion
from harness.doctor.memory_model import Estimate, Run
from harness.doctor.precision_advice import Recommendation
from harness.models.gemma3 import Architecture
from harness.profiles import GIB


@dataclass(frozen=True)
class Subject:
    """The hardware the question is about.

    Attributes:
        present: Whether it is in this machine; else the figures are the profile's.
        memory_bytes: Total; `available_bytes` is less where other processes hold GPU memory.
        fp16: Whether it computes float16 in hardware; Gemma-3 must not use it either way.
    """

    slug: str
    name: str
    device: Literal["cpu", "gpu"]
    present: bool
    bf16: bool
    fp16: bool
    memory_bytes: int
    available_bytes: int
    cores: int
    compute_capability: str | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Diagnosis:
    """The answer: hardware, precision, memory, and what to change."""

    subject: Subject
    precision: Recommendation
    model: Architecture
    run: Run
    memory: Estimate
    suggestions: tuple[Suggestion, ...]

    @property
    def fits(self) -> bool:
        """Whether the estimated peak is within the memory that is available."""
        return self.memory.total_bytes <= self.subject.available_bytes


def as_dict(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the answer as plain JSON values; bytes are bytes."""
    return {
        "hardware": asdict(diagnosis.subject),
        "precision": asdict(diagnosis.precision),
        "model": {
            **diagnosis.model.model_dump(mode="json"),
            "parameters": diagnosis.model.parameters,
        },
        "run": asdict(diagnosis.run),
        "memory": {
            "estimate": True,
            "total_bytes": diagnosis.memory.total_bytes,
            "available_bytes": diagnosis.subject.available_bytes,
            "parts": [asdict(part) for part in diagnosis.memory.parts],
        },
        "fits": diagnosis.fits,
        "suggestions": [asdict(suggestion) for suggestion in diagnosis.suggestions],
    }


def render(diagnosis: Diagnosis) -> RenderableType:
    """Return the answer for a rich console."""
    return Group(
        _facts(diagnosis),
        Text(),
        _memory(diagnosis),
        Text(),
        _answer(diagnosis),
        *([_suggestions(diagnosis)] if diagnosis.suggestions else []),
    )


def _facts(diagnosis: Diagnosis) -> Table:
    subject, precision = diagnosis.subject, diagnosis.precision
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    capability = f", compute capability {subject.compute_capability}"
    table.add_row("hardware", f"{subject.name}{capability if subject.compute_capability else ''}")
    table.add_row("bfloat16", _yes(subject.bf16))
    table.add_row("float16", f"{_yes(subject.fp16)}; never for Gemma-3, its activations pass 65504")
    table.add_row("memory", f"{_gib(subject.memory_bytes)}, {_gib(subject.available_bytes)} usable")
    table.add_row("CPU cores", str(subject.cores))
    for note in subject.notes:
        table.add_row("note", note)
    table.add_row(
        "precision",
        f"dtype {precision.request}: weights {precision.weights}, activations "
        f"{precision.activations}, autocast {precision.autocast}",
    )
    table.add_row("why", precision.why)
    if precision.caution:
        table.add_row("caution", precision.caution)
    return table


def _memory(diagnosis: Diagnosis) -> Table:
    run, model = diagnosis.run, diagnosis.model
    table = Table(
        title=f"Estimated peak: gemma-3 {model.name}, {model.parameters / 1e9:.2f} B parameters, "
        f"batch {run.batch_size} x {run.seq_len} tokens",
        title_justify="left",
        title_style="bold",
        show_footer=True,
    )
    table.add_column("part", "total")
    table.add_column("GiB", f"{diagnosis.memory.total_bytes / GIB:.2f}", justify="right")
    table.add_column("from", "an estimate, not a measurement")
    for part in diagnosis.memory.parts:
        table.add_row(part.name, f"{part.bytes / GIB:.2f}", part.formula)
    return table


def _answer(diagnosis: Diagnosis) -> Text:
    needed, free = diagnosis.memory.total_bytes, diagnosis.subject.available_bytes
    if diagnosis.fits:
        return Text(f"Fits: {_gib(needed)} of {_gib(free)}.", style="bold green")
    tail = "" if diagnosis.suggestions else " Nothing known to the harness would fit."
    return Text(
        f"Does not fit: {_gib(needed)} needed, {_gib(free)} usable.{tail}", style="bold red"
    )


def _suggestions(diagnosis: Diagnosis) -> Table:
    table = Table(title="Any one of these would fit", title_justify="left", title_style="bold")
    table.add_column("change")
    table.add_column("needed", justify="right")
    table.add_column("of", justify="right")
    for suggestion in diagnosis.suggestions:
        table.add_row(
            suggestion.change, _gib(suggestion.total_bytes), _gib(suggestion.available_bytes)
        )
    return table


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _gib(size: int) -> str:
    return f"{size / GIB:.2f} GiB"
