"""The first optimizer step is done as soon as in the approved baseline, and each part of the way.

Exists for U#1859 (the import patches with retries and sleeps: a minute), accelerate#2911 (an upgrade
loads models many times slower), U#2586 (loading slower than plain transformers) and Z#901 (each process
compiles anew in its first step). Figures: `harness.figures.start_up_figures`.
"""

from harness.checks import Context, verdict
from harness.checks._against_baseline import compare
from harness.figures import start_up_figures
from harness.record import Record
from harness.verdict import Outcome, Verdict

_PARTS = {
    "time_to_first_step_s": "to the first step",
    "import_s": "to import",
    "load_s": "to load",
    "data_s": "for data and trainer",
    "first_step_s": "for the first step",
}


def judge(record: Record, context: Context) -> Verdict:
    """FAIL a part that takes longer than its band; INFRA where something disturbed the run."""
    figures = start_up_figures(record)
    if record.preloaded:
        why = "the run was forked from a process that had imported the stack"
        return verdict("start_up", record, Outcome.SKIPPED, why, figures=figures)
    return compare(
        "start_up",
        record,
        figures,
        context,
        shown=lambda name, value: f"{value:.3g} s {_PARTS[name]}",
        diagnosis=("the release imports, loads, patches or compiles more than before it trains",),
        advice=(
            "run the cell again, alone on the machine",
            "the part that is named says where to look: import, load, data and trainer, first step",
        ),
    )
