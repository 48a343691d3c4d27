"""A merged checkpoint, loaded plainly in a fresh process, is base and adapter: not more, not less.

Regressions: the reloaded merge gives other losses (unslothai/unsloth#3045, #5410); merging changes the
eos token (unslothai/unsloth#5386).
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from harness.comparison import coarsest, dtype
from harness.experiment import Extra
from harness.matrix import Cell
from harness.record import Evaluation, Record
from harness.relations import _afterwards as parts
from harness.relations.deviation import Deviation, flag

EXTRAS = frozenset({Extra.MERGE})


def variants(cell: Cell) -> dict[str, Cell]:
    """Return the cell itself."""
    return {"run": cell}


def deviations(records: Mapping[str, Record]) -> Iterator[Deviation]:
    """Compare the losses of the evaluation rows with the trained model's, and with the base's."""
    (record,) = records.values()
    merged, base = parts.entry(record, "merge"), parts.entry(record, "base")
    for found, kind in ((merged, "merge"), (base, "base")):
        if failed := parts.broken(found, kind):
            yield failed
            return
    assert merged is not None
    assert base is not None
    # A merge to 16 bit rounds, whatever dtype it is computed in.
    file = coarsest([dtype(record), *merged.files])
    for one in parts.evaluation(merged.evaluations, record.evaluations):
        yield replace(one, dtype=file)
    same = _losses(merged.evaluations) == _losses(base.evaluations)
    yield flag("merged is the base", violated=same, where="their losses")
    yield from parts.tokenizers(merged.tokenizer, base.tokenizer)


def _losses(evaluations: list[Evaluation]) -> list[list[float | None]]:
    return [[e.token_loss, *e.row_losses] for e in evaluations]
