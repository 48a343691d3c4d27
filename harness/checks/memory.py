"""Peak memory of every phase, and the bytes that a token takes, are as low as in the approved baseline.

Exists for Z#857 and U#1147 (full logits materialised in evaluation), U#2126 (memory-hungry against
plain transformers) and U#4128 (padding_free=False is ignored: a T4 runs out of memory). The figures
are the GPU's allocated bytes where there is one, else the resident set size of the process.
"""

from harness.checks import Context
from harness.checks._against_baseline import compare
from harness.figures import memory_figures
from harness.record import Record
from harness.verdict import Verdict


def judge(record: Record, context: Context) -> Verdict:
    """FAIL a phase whose peak is above its band; below the band passes."""
    return compare(
        "memory",
        record,
        memory_figures(record),
        context,
        shown=_shown,
        diagnosis=(
            "a larger peak in train alone points to logits, gradient checkpointing or padding",
            "more bytes per token point to attention, gradient checkpointing or logits",
            "a larger peak in every phase points to the weights' dtype or the libraries",
        ),
        advice=(
            "compare loss function, attention and arguments with the last release that passed",
        ),
    )


def _shown(name: str, value: float) -> str:
    if name == "bytes_per_token":
        return f"{name} {value / 2**10:.1f} KiB"
    return f"{name} {value / 2**20:.1f} MiB"
