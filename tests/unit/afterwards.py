"""A healthy record of a run with all that comes after training, to change one thing in."""

from typing import Any

from harness.record import Afterwards, Difference, Failure, Record, Tokenizer
from tests.unit.records import evaluations, make_record, steps

ROWS = [4.1, None, 4.4]
BASE_ROWS = [6.7, None, 6.8]
TENSORS = 84
TOKENIZER = Tokenizer(digest="aaaaaaaaaaaaaaaa", eos_token="<eos>")
SAME = Difference(tensors=TENSORS, largest=0.0)
FAILURE = Failure(phase="load", kind="ValueError", message="no such file")


def record(**changes: dict[str, Any] | None) -> Record:
    """Return the record; changes are by entry: `reload={"adapter": ...}`, None takes an entry out."""
    entries: dict[str, dict[str, Any]] = {
        "trained": {"tokenizer": TOKENIZER, "adapter": SAME},
        "reload": {"tokenizer": TOKENIZER, "adapter": SAME, "evaluations": after(4.27, ROWS)},
        "merge": {"tokenizer": TOKENIZER, "evaluations": after(4.27, ROWS)},
        "base": {"tokenizer": TOKENIZER, "evaluations": after(6.74, BASE_ROWS)},
        "resume": {
            "resumed_from": 20,
            "adapter": SAME,
            "optimizer": SAME,
            "steps": steps()[20:],
            # On start, then as the uninterrupted run.
            "evaluations": evaluations(6.74, 4.73, 4.38, 4.27)[2:],
        },
    }
    merged = {
        kind: {**fields, **(changes.get(kind) or {})}
        for kind, fields in entries.items()
        if not (kind in changes and changes[kind] is None)
    }
    run = evaluations(6.74, 4.73, 4.38, 4.27)
    run[-1] = run[-1].model_copy(update={"row_losses": ROWS})
    found = [Afterwards(kind=kind, **fields) for kind, fields in merged.items()]
    return make_record(extras=["merge", "reload", "resume"], evaluations=run, afterwards=found)


def after(loss: float | None, rows: list[float | None]) -> Any:
    """Return the one evaluation of a fresh process."""
    (found,) = evaluations(loss)
    return [found.model_copy(update={"row_losses": rows})]
