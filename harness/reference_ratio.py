"""A cell beside plain transformers + peft: the same fine-tune on the same hardware, in the same run.

A ratio outlives the machine: it says what Unsloth gains or costs where no baseline holds.
"""

from collections.abc import Iterable, Mapping

from harness.conditions import disturbances
from harness.figures import OVER_REFERENCE, family, memory_figures, rounded, throughput_figures
from harness.record import Record

Place = tuple[object, ...]
"""What two runs must share."""

_RATIOS = ("steps_per_s", "eval_s", "peak_rss.train", "peak_gpu_allocated.train")


def ratios(record: Record, reference: Record | None, of: str) -> dict[str, float]:
    """Return figure / the reference's figure for those that a check judges, by name.

    Args:
        record: A run of another family.
        reference: A run of the reference stack that `reference_of` gave. Its timings count only where nothing
            disturbed it: a slow reference would flatter.
        of: The check, as in `harness.figures.family`.
    """
    if reference is None or (of == "throughput" and disturbances(reference)):
        return {}
    here, there = ({**throughput_figures(r), **memory_figures(r)} for r in (record, reference))
    return {
        name + OVER_REFERENCE: rounded(here[name] / there[name])
        for name in _RATIOS
        if family(name) == of and here.get(name) and there.get(name)
    }


def references(records: Iterable[Record]) -> dict[Place, Record]:
    """Return the runs of the reference stack that others may be divided by, for `reference_of`.

    They completed, and nothing was done to them.
    """
    return {
        _place(record): record
        for record in records
        if record.stack.family == "reference"
        and record.status == "COMPLETED"
        and record.fault is None
        and not record.extras
    }


def reference_of(record: Record, known: Mapping[Place, Record]) -> Record | None:
    """Return the reference run of the same hardware, dtype, recipe, neighbours and repeat, if any."""
    return None if record.stack.family == "reference" else known.get(_place(record))


def _place(record: Record) -> Place:
    hardware = record.hardware
    return (
        hardware.name,
        hardware.device,
        hardware.threads,
        hardware.parallel_cells,
        record.dtype_request,
        record.recipe_digest,
        record.preloaded,
        record.repeat,
    )
