"""What a user sees while cells run: which cell, which phase, step n of m, eval loss so far."""

from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness.record import Record


@dataclass
class _Running:
    phase: str = "waiting for its stack"
    step: int = 0
    steps: int = 0
    eval_losses: list[float] = field(default_factory=list)
    since: float = field(default_factory=monotonic)


class Progress:
    """Live table on a terminal, one line an occurrence elsewhere. Safe to call from any thread."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._done = 0
        self._running: dict[str, _Running] = {}
        self._lock = Lock()
        self._live = (
            Live(console=console, get_renderable=self._render, refresh_per_second=4, transient=True)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def say(self, message: str) -> None:
        """Print one line above the live table."""
        # Not wrapped: among the lines of other cells, the rest of one says nothing.
        self._console.print(Text(f"  {message}"), soft_wrap=True)

    def started(self, label: str) -> None:
        """A cell begins."""
        with self._lock:
            self._running[label] = _Running()
        if not self._live:
            self.say(f"{label}: started")

    def event(self, label: str, event: dict[str, Any]) -> None:
        """A payload event of a running cell."""
        with self._lock:
            state = self._running[label]
            kind = event["event"]
            if kind == "phase":
                state.phase = event["name"]
            elif kind == "plan":
                state.steps = event["steps"]
            elif kind == "step":
                state.step = event["step"]
            elif kind == "evaluation":
                loss = event["eval_loss"]
                state.eval_losses.append(float("nan") if loss is None else loss)
        if not self._live and kind in ("phase", "evaluation"):
            self.say(f"{label}: {_describe(state)}")

    def finished(self, label: str, record: Record, *, reused: bool) -> None:
        """A cell has its record."""
        with self._lock:
            self._running.pop(label, None)
            self._done += 1
        how = f"measured {record.started_at}, reused" if reused else f"{record.duration_s:.0f} s"
        losses = " ".join(f"{loss:.4f}" for loss in record.eval_losses)
        self.say(
            f"[{self._done}/{self._total}] {label}: {record.status} ({how}) eval_loss {losses}"
        )

    def _render(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        with self._lock:
            for label, state in self._running.items():
                table.add_row(
                    Text(label, style="bold"),
                    Text(_describe(state)),
                    Text(f"{monotonic() - state.since:.0f} s", style="dim"),
                )
            head = Text(f"{self._done} of {self._total} cells done", style="dim")
        return Group(table, head)


def _describe(state: _Running) -> str:
    if state.phase != "train" or not state.steps:
        return state.phase
    losses = " ".join(f"{loss:.3f}" for loss in state.eval_losses)
    return f"train step {state.step} of {state.steps}, eval_loss {losses}"
