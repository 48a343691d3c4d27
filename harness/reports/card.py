"""The figures of a card: what each cell that ran natively on a GPU gave, at a desk and as Markdown."""

from collections.abc import Iterable, Sequence

from rich.table import Table

from harness.figures import memory_figures, start_up_figures
from harness.model_flops import model_flops_utilisation
from harness.record import Record
from harness.reports import facts, named_rows, wording
from harness.reports.markdown_text import escape

_HEAD = (
    "cell",
    "ran as",
    "eval_loss",
    "tokens/s",
    "model FLOPs utilisation",
    "peak allocated in training, evaluation",
    "first step; from start to its end",
)


def native(records: Iterable[Record]) -> list[Record]:
    """Return the records whose figures are a GPU's own: not emulated, no fault, nothing beside training."""
    return sorted(
        (
            record
            for record in records
            if record.hardware.on_gpu
            and record.hardware.kind == "native"
            and record.fault is None
            and not record.extras
        ),
        key=lambda r: (r.recipe["name"], r.dtype_request, r.stack.family, r.cell_id, r.repeat),
    )


def render(records: Sequence[Record]) -> Table:
    """Return the table for a terminal."""
    return named_rows.desk(_HEAD, map(_row, records))


def markdown(records: Sequence[Record], command: str) -> str:
    """Return the same as a Markdown document."""
    machines = dict.fromkeys(
        f"{r.hardware.device}, driver {r.hardware.driver or 'unknown'}, {r.started_at[:10]}"
        for r in records
    )
    lines = [f"# Figures of a card: `{command}`", ""]
    lines += [f"- {escape(machine, 300)}" for machine in machines]
    lines += [
        "- a speed beside other cells (`ran as`) is none of the card's",
        "",
        *named_rows.markdown(_HEAD, map(_row, records)),
    ]
    return "\n".join(lines) + "\n"


def _row(record: Record) -> list[str]:
    memory, start = memory_figures(record), start_up_figures(record)
    beside = record.hardware.parallel_cells
    ran = facts.effective_precision(record) if record.status == "COMPLETED" else record.status
    peaks = [memory.get(f"peak_gpu_allocated.{phase}") for phase in ("train", "eval")]
    return [
        record.cell_id + (f" (repeat {record.repeat})" if record.repeat else ""),
        ran + (f", {beside} cells at once" if beside > 1 else ", alone"),
        " ".join(map(wording.loss, record.eval_losses)) or wording.NOT_MEASURED,
        wording.rate(facts.tokens_per_second(record)),
        wording.percent(model_flops_utilisation(record) if beside == 1 else None),
        ", ".join(wording.size(None if peak is None else int(peak)) for peak in peaks),
        "; ".join(
            wording.seconds(start.get(name)) for name in ("first_step_s", "time_to_first_step_s")
        ),
    ]
