"""What the three relations over `Record.afterwards` have in common."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.record import Afterwards, Difference, Evaluation, Record, Tokenizer
from harness.relations.deviation import Deviation, flag, largest, relative


def entry(record: Record, kind: str) -> Afterwards | None:
    """Return the record's entry of a kind."""
    return next((entry for entry in record.afterwards if entry.kind == kind), None)


def broken(found: Afterwards | None, kind: str) -> Deviation | None:
    """Return the deviation of an entry that is missing or failed, None for one to be judged."""
    if found is None:
        return Deviation(kind, math.inf, f"the record has no {kind!r} entry")
    if found.failure is None:
        return None
    why = found.failure
    return Deviation(kind, math.inf, f"{why.phase}: {why.kind}: {why.message}"[:400])


def farthest(quantity: str, pairs: Sequence[tuple[str, float | None, float | None]]) -> Deviation:
    """Return the largest relative deviation of (where, judged, wanted) triples, its place if it is any."""
    found = largest(quantity, ((relative(a, b), where) for where, a, b in pairs))
    return found if found.value else replace(found, where="")


def evaluation(judged: Sequence[Evaluation], wanted: Sequence[Evaluation]) -> Iterator[Deviation]:
    """Compare one evaluation's losses: the trainer's, that computed apart, and each row's."""
    if not judged or not wanted:
        yield Deviation("token_loss", math.inf, "no evaluation")
        return
    a, b = judged[-1], wanted[-1]
    yield Deviation("eval_loss", relative(a.eval_loss, b.eval_loss), "")
    yield Deviation("token_loss", relative(a.token_loss, b.token_loss), "")
    if len(a.row_losses) != len(b.row_losses):
        where = f"{len(a.row_losses)} rows, not {len(b.row_losses)}"
        yield Deviation("row losses", math.inf, where)
        return
    if not a.row_losses:
        return  # rows share a sequence: token_loss is all there is
    rows = enumerate(zip(a.row_losses, b.row_losses, strict=True))
    yield farthest(
        "row losses", [(f"row {i}", x, y) for i, (x, y) in rows if (x, y) != (None, None)]
    )


def tensors(quantity: str, found: Difference | None) -> Deviation:
    """Return the largest deviation of a set of tensors; infinite if one is missing or too many."""
    if found is None or found.largest is None:
        return Deviation(quantity, math.inf, "no tensors to compare")
    if found.missing or found.unexpected:
        where = f"{len(found.missing)} missing, {len(found.unexpected)} unexpected: "
        return Deviation(quantity, math.inf, where + (found.missing + found.unexpected)[0])
    return Deviation(quantity, found.largest, found.where)


def tokenizers(judged: Tokenizer | None, wanted: Tokenizer | None) -> Iterator[Deviation]:
    """Compare what came with the weights; a tokenizer is the same or another one."""
    if judged is None or wanted is None:
        yield Deviation("tokenizer", math.inf, "not known")
        return
    same = judged.digest == wanted.digest
    yield flag("tokenizer", violated=not same)
    eos = (
        "" if judged.eos_token == wanted.eos_token else f"{wanted.eos_token} -> {judged.eos_token}"
    )
    yield flag("eos token", violated=bool(eos), where=eos)
