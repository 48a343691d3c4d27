"""A saved adapter, loaded in a fresh process, is what was trained.

Regressions: the file lacks what training moved, without an error (unslothai/unsloth#3089); the
tokenizer beside it is another one (unslothai/unsloth#5386).
"""

from collections.abc import Iterator, Mapping

from harness.experiment import Extra
from harness.matrix import Cell
from harness.record import Record
from harness.relations import _afterwards as parts
from harness.relations.deviation import Deviation

EXTRAS = frozenset({Extra.RELOAD})


def variants(cell: Cell) -> dict[str, Cell]:
    """Return the cell itself."""
    return {"run": cell}


def deviations(records: Mapping[str, Record]) -> Iterator[Deviation]:
    """Compare file with memory, memory with file, and the losses of the evaluation rows."""
    (record,) = records.values()
    trained, reloaded = parts.entry(record, "trained"), parts.entry(record, "reload")
    for found, kind in ((trained, "trained"), (reloaded, "reload")):
        if failed := parts.broken(found, kind):
            yield failed
            return
    assert trained is not None
    assert reloaded is not None
    yield parts.tensors("saved adapter", trained.adapter)
    yield parts.tensors("loaded adapter", reloaded.adapter)
    yield from parts.evaluation(reloaded.evaluations, record.evaluations)
    yield from parts.tokenizers(reloaded.tokenizer, trained.tokenizer)
