"""The first thing that differs between two runs, in the order of computation."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from harness.batch_rows import Pairing, Rows, label_problem, pair, rows, supervised
from harness.explain.first_step import Array, Entry, FirstStep, Kind, Phase

EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
GROWTH = 1.0
"""Times the square root of how many tensors the phase has computed, each rounding anew.

Measured on runs that differ in nothing but dtype: docs/explain.md.
"""
UPDATE_GROWTH = 2.0
"""AdamW divides a gradient by its own size, so small ones weigh as much as large ones."""
LOSS_GROWTH = 2.0
"""Without the root: a loss is a mean over tokens and does not grow with depth."""


class Sameness(Enum):
    """What a comparison of one thing comes to."""

    SAME = "same"
    ROUNDING = "rounding"
    DIFFERS = "DIFFERS"
    NOT_COMPARED = "not compared"
    """One side has no such thing (fused logits, a part that a release does not call)."""


@dataclass(frozen=True)
class Row:
    """One thing of the first step, on both sides.

    Attributes:
        deviation: 2-norm of the difference over the larger 2-norm of the two; None: not numbers.
        rounding: The deviation that the coarsest dtype so far explains.
    """

    phase: Phase
    what: str
    name: str
    sameness: Sameness
    dtypes: tuple[str, str] = ("", "")
    deviation: float | None = None
    rounding: float | None = None
    note: str = ""

    @property
    def title(self) -> str:
        """What it is, in words."""
        return self.name if self.what in ("activation", self.name) else f"{self.what} {self.name}"


@dataclass(frozen=True)
class Explanation:
    """All rows, and the first of them that differs; None where rounding explains everything."""

    rows: list[Row]

    @property
    def first(self) -> Row | None:
        """The first row that rounding does not explain."""
        return next((row for row in self.rows if row.sameness is Sameness.DIFFERS), None)

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        first = self.first
        if first is None:
            return "Nothing differs beyond rounding in the first step."
        text = f"First difference: {first.phase}, {first.title}"
        # A note tells what no rounding does, however small the deviation.
        if not first.note and first.deviation is not None and first.rounding is not None:
            coarser = max(first.dtypes, key=lambda dtype: EPSILON.get(dtype, 0.0))
            text += (
                f" ({coarser}) deviates by {first.deviation:.2g}, rounding explains "
                f"{first.rounding:.2g}"
            )
        return f"{text}: {first.note}." if first.note else f"{text}."


def explain(a: FirstStep, b: FirstStep) -> Explanation:
    """Compare two runs: the first evaluation batch, then the first training step."""
    found: list[Row] = []
    for phase in ("evaluation", "training"):
        found += _Comparison(a, b, phase).rows()
    return Explanation(found)


class _Comparison:
    def __init__(self, a: FirstStep, b: FirstStep, phase: Phase) -> None:
        self._a, self._b, self._phase = a, b, phase
        self._epsilon = max(EPSILON.get(w, 0.0) for w in ("float32", *a.weights, *b.weights))
        self._computed = 0

    def rows(self) -> Iterator[Row]:
        sides = [side.batch(self._phase) for side in (self._a, self._b)]
        if not all("input_ids" in batch for batch in sides):
            yield Row(self._phase, "input ids", "input ids", Sameness.NOT_COMPARED)
            return
        split = rows(sides[0]), rows(sides[1])
        pairing = pair(*split)
        layouts = [side.layout for side in split]
        layout = "" if layouts[0] == layouts[1] else f"{layouts[0]} against {layouts[1]}"
        yield self._exact("input ids", pairing.problem, layout)
        if all("labels" in batch for batch in sides):
            labels = sides[0]["labels"], sides[1]["labels"]
            yield self._exact("labels", label_problem(pairing, *split, labels))
            yield self._counts("supervised tokens", *(supervised(side) for side in labels))
        yield from self._normaliser()
        for name, entry_a, entry_b in self._both("activation"):
            yield self._activation(name, entry_a, entry_b, pairing, split)
        yield from (self._numbers("loss", *both) for both in self._both("loss"))
        yield from (self._numbers("initial adapter", *both) for both in self._both("adapter"))
        yield from (self._numbers("gradient of", *both) for both in self._both("gradient"))
        yield from (self._numbers("update of", *both) for both in self._both("update"))

    def _both(self, kind: Kind) -> Iterable[tuple[str, Entry | None, Entry | None]]:
        a, b = self._a.of(self._phase, kind), self._b.of(self._phase, kind)
        names = [*a, *(name for name in b if name not in a)]
        return [(name, a.get(name), b.get(name)) for name in names]

    def _exact(self, what: str, problem: str, note: str = "") -> Row:
        sameness = Sameness.DIFFERS if problem else Sameness.SAME
        return Row(self._phase, what, what, sameness, ("int64", "int64"), note=problem or note)

    def _counts(self, what: str, a: int, b: int) -> Row:
        return self._exact(what, "" if a == b else f"{a} against {b}", str(a))

    def _normaliser(self) -> Iterator[Row]:
        for _, a, b in self._both("normaliser"):
            if a is None or b is None:
                # A trainer that divides by itself passes none: its loss will tell.
                side = "first" if a else "second"
                note = f"num_items_in_batch only on the {side} side"
                yield Row(self._phase, "normaliser", "normaliser", Sameness.NOT_COMPARED, note=note)
            else:
                values = int(self._a.tensors[a.key][0]), int(self._b.tensors[b.key][0])
                yield self._counts("normaliser", *values)

    def _activation(
        self,
        name: str,
        a: Entry | None,
        b: Entry | None,
        pairing: Pairing,
        split: tuple[Rows, Rows],
    ) -> Row:
        row = Row(self._phase, "activation", name, Sameness.NOT_COMPARED)
        if a is None or b is None:
            return replace(row, note=_one_side(a))
        values = self._a.tensors[a.key], self._b.tensors[b.key]
        if any(v.shape[:2] != s.shape for v, s in zip(values, split, strict=True)):
            return replace(row, note=f"shapes {values[0].shape} and {values[1].shape}")
        by_token = [value.reshape(value.shape[0] * value.shape[1], -1) for value in values]
        return self._judged(
            row, a, b, by_token[0][pairing.a], by_token[1][pairing.b], self._growth(a, b)
        )

    def _numbers(self, what: str, name: str, a: Entry | None, b: Entry | None) -> Row:
        row = Row(self._phase, what, name, Sameness.NOT_COMPARED)
        if a is None or b is None:
            return replace(row, note=_one_side(a))
        growth = LOSS_GROWTH * self._epsilon if what == "loss" else self._growth(a, b)
        if what == "initial adapter":
            # Releases draw it in float32 and round it to the weights' dtype, or do not.
            growth = self._epsilon
        elif what == "update of":
            growth *= UPDATE_GROWTH
        return self._judged(row, a, b, self._a.tensors[a.key], self._b.tensors[b.key], growth)

    def _growth(self, a: Entry, b: Entry) -> float:
        self._epsilon = max(self._epsilon, *(EPSILON.get(e.dtype, 0.0) for e in (a, b)))
        self._computed += 1
        return GROWTH * self._epsilon * float(np.sqrt(self._computed))

    def _judged(self, row: Row, a: Entry, b: Entry, x: Array, y: Array, rounding: float) -> Row:
        row = replace(row, dtypes=(a.dtype, b.dtype), rounding=rounding)
        stride = max(a.stride, b.stride)
        x, y = x[..., :: stride // a.stride], y[..., :: stride // b.stride]
        if x.shape != y.shape:
            return replace(row, rounding=None, note=f"shapes {x.shape} and {y.shape}")
        deviation = _deviation(x, y)
        note = _strange(row, a, b, x, y) if deviation else ""
        if row.what == "initial adapter" and deviation > rounding:
            note = "different initial adapter, so gradients and updates differ as well"
        if deviation == 0 and not note:
            return replace(row, sameness=Sameness.SAME, deviation=0.0)
        differs = bool(note) or not deviation <= rounding
        sameness = Sameness.DIFFERS if differs else Sameness.ROUNDING
        return replace(row, sameness=sameness, deviation=deviation, note=note)


def _deviation(x: Array, y: Array) -> float:
    if not np.array_equal(np.isfinite(x), np.isfinite(y)):
        return float("inf")
    there = np.isfinite(x)
    left, right = x[there].astype(np.float64), y[there].astype(np.float64)
    largest = max(float(np.linalg.norm(left)), float(np.linalg.norm(right)))
    return float(np.linalg.norm(left - right)) / largest if largest else 0.0


def _strange(row: Row, a: Entry, b: Entry, x: Array, y: Array) -> str:
    """Name what no rounding does: values lost to infinity, to float16's limit, or to 0."""
    bad = [int((~np.isfinite(side)).sum()) for side in (x, y)]
    if (bad[0] > 0) != (bad[1] > 0):
        return f"{bad[0]} values are not finite against {bad[1]}"
    zero = [side.size > 0 and not side.any() for side in (x, y)]
    if zero[0] != zero[1]:
        return f"every value is 0 on the {'first' if zero[0] else 'second'} side"
    clamped = [entry.saturated for entry in (a, b)]
    if row.what == "activation" and (clamped[0] > 0) != (clamped[1] > 0):
        return f"{clamped[0]} values stand at float16's limit of 65504 against {clamped[1]}"
    return ""


def _one_side(a: Entry | None) -> str:
    return f"only on the {'second' if a is None else 'first'} side"
