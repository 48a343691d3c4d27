"""What to change when a fine-tune is estimated not to fit: each answer is estimated again."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from harness.doctor.memory_model import Run, Widths, estimate
from harness.doctor.precision_advice import recommend
from harness.models.gemma3 import Architecture, published
from harness.profiles import load_profiles

_SEQ_STEP = 64


@dataclass(frozen=True)
class Suggestion:
    """A change after which the fine-tune is estimated to fit, in words and as settings."""

    change: str
    hardware: str
    model: str
    run: Run
    total_bytes: int
    available_bytes: int


@dataclass(frozen=True)
class Budget:
    """A fine-tune, and the bytes it may take on some hardware."""

    hardware: str
    model: Architecture
    run: Run
    widths: Widths
    available_bytes: int

    def total(self, run: Run) -> int:
        """Return the estimated peak of `run`, in bytes."""
        return estimate(self.model, run, self.widths).total_bytes

    def fits(self, run: Run) -> bool:
        """Whether `run` is estimated to fit."""
        return self.total(run) <= self.available_bytes

    def suggestion(self, change: str, run: Run) -> Suggestion:
        """Return the suggestion of `run` within this budget."""
        total = self.total(run)
        return Suggestion(change, self.hardware, self.model.name, run, total, self.available_bytes)


def suggest(budget: Budget) -> Iterator[Suggestion]:
    """Yield changes to the run that make it fit, then other hardware, then a smaller model.

    A shorter sequence cuts the data, so one below half of what was asked comes only when nothing
    else helps.

    Returns:
        Suggestions that fit by the same estimate; none when nothing known helps.
    """
    for run in _changes(budget):
        yield budget.suggestion(_difference(budget.run, run), run)
    yield from _other_card(budget)
    yield from _smaller_model(budget)


def _changes(budget: Budget) -> list[Run]:
    run = budget.run
    whole = [saving for saving in _savings(run)[1:] if budget.fits(saving)]
    whole += _largest_batch(budget, run)
    if not whole:
        whole = _first([_largest_batch(budget, saving) for saving in _savings(run)])
    shorter = _longest_sequence(budget, run)
    if any(other.seq_len >= run.seq_len / 2 for other in shorter) or whole:
        return whole + [other for other in shorter if other.seq_len >= run.seq_len / 2]
    small = replace(run, batch_size=1)
    return _first(
        [_longest_sequence(budget, saving) for one in (run, small) for saving in _savings(one)]
    )


def _savings(run: Run) -> list[Run]:
    """Return the run and what checkpointing, 4 bit and both make of it, without duplicates."""
    checkpointed = replace(run, gradient_checkpointing=True)
    quantised = replace(run, load_in_4bit=True)
    both = replace(checkpointed, load_in_4bit=True)
    return list(dict.fromkeys([run, checkpointed, quantised, both]))


def _first(candidates: list[list[Run]]) -> list[Run]:
    return next((found for found in candidates if found), [])


def _largest_batch(budget: Budget, run: Run) -> list[Run]:
    return _largest(budget, run.batch_size - 1, lambda batch: replace(run, batch_size=batch))


def _longest_sequence(budget: Budget, run: Run) -> list[Run]:
    top = (run.seq_len - 1) // _SEQ_STEP
    return _largest(budget, top, lambda steps: replace(run, seq_len=steps * _SEQ_STEP))


def _largest(budget: Budget, top: int, at: Callable[[int], Run]) -> list[Run]:
    """Return the run of the largest of 1 ... `top` that fits; memory grows with it, so bisect."""
    low, high = 0, top
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if budget.fits(at(middle)) else (low, middle - 1)
    return [at(low)] if low > 0 else []


def _difference(before: Run, after: Run) -> str:
    changes = []
    if after.gradient_checkpointing and not before.gradient_checkpointing:
        changes.append("turn gradient checkpointing on")
    if after.load_in_4bit and not before.load_in_4bit:
        changes.append("load in 4 bit (dtype nf4)")
    if after.batch_size != before.batch_size:
        changes.append(
            f"batch size {before.batch_size} -> {after.batch_size} "
            "(keep the effective batch with gradient accumulation)"
        )
    if after.seq_len != before.seq_len:
        changes.append(f"sequence length {before.seq_len} -> {after.seq_len}")
    return ", ".join(changes)


def _other_card(budget: Budget) -> Iterator[Suggestion]:
    widths = recommend("gpu", True).widths
    cards = [
        Budget(card.slug, budget.model, budget.run, widths, memory)
        for card in load_profiles().values()
        if card.bf16 and (memory := card.memory_bytes) is not None
    ]
    large_enough = [card for card in cards if card.fits(budget.run)]
    if large_enough:
        card = min(large_enough, key=lambda card: card.available_bytes)
        change = f"use a card with bfloat16: {card.hardware} or larger"
        yield card.suggestion(change, budget.run)


def _smaller_model(budget: Budget) -> Iterator[Suggestion]:
    smaller = [a for a in published().values() if a.parameters < budget.model.parameters]
    for shapes in sorted(smaller, key=lambda a: -a.parameters):
        other = replace(budget, model=shapes)
        if other.fits(budget.run):
            yield other.suggestion(f"train gemma-3-{shapes.name}", budget.run)
            return
