"""Scales and ticks of a chart: data to pixels, and pixels worth labelling."""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

Point = tuple[float, float | None]
"""x and y; y is None where nothing was measured, and may be NaN or infinite."""


_DRAWN_BELOW = 1e100
"""Beyond any dtype of a model; arithmetic on larger numbers would overflow in the scales."""


def is_drawn(value: float | None) -> TypeGuard[float]:
    """Whether a value has a place on an axis: measured, finite, and not absurdly large."""
    return value is not None and abs(value) < _DRAWN_BELOW


@dataclass(frozen=True)
class Scale:
    """Map `low ... high` to pixels `start ... end`, linearly or by the logarithm."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(max(value, self.low))
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self, amount: int, *, whole: bool = False) -> list[float]:
        """Return round values inside the scale, about `amount` of them; decades if logarithmic.

        Args:
            amount: How many are wanted.
            whole: Whether only whole numbers will do, as for epochs and steps.
        """
        if self.log:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            stride = max(1, math.ceil((last - first) / amount))
            return [10.0**power for power in range(first, last + 1, stride)]
        step = round_step((self.high - self.low) / amount)
        step = max(1.0, math.ceil(step)) if whole else step
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(index * step, 12) for index in range(first, last + 1)]


def round_step(raw: float) -> float:
    """Return the smallest of 1, 2, 2.5, 5 x 10**n that is not below `raw`."""
    # A range of subnormal numbers over an amount of ticks is 0.
    raw = max(raw, sys.float_info.min)
    power = 10.0 ** math.floor(math.log10(raw))
    return next(
        m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0, 20.0) if m * power >= raw * (1 - 1e-9)
    )


def value_scale(values: Sequence[float], start: float, end: float, *, log: bool = False) -> Scale:
    """Return a scale that holds all finite values with some room, even if they are all equal."""
    finite = [value for value in values if is_drawn(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if log and low > 0:
        # Half of the smallest subnormal number is 0, which has no logarithm.
        return Scale(low / 2 or low, high * 2, start, end, log=True)
    room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    floor = 0.0 if low >= 0 else -math.inf
    return Scale(max(low - room, floor) if low != 0 else -room * 0.25, high + room, start, end)


def thin(points: Sequence[Point], limit: int) -> list[Point]:
    """Keep about `limit` points: of each stretch the lowest, the highest and one not finite.

    The first and the last point stay, and so do a spike and a NaN: the findings of a curve.
    """
    if len(points) <= limit:
        return list(points)
    stretch = math.ceil(len(points) / max(1, limit // 3))
    kept = {0, len(points) - 1}
    for begin in range(0, len(points), stretch):
        known: list[tuple[float, int]] = []
        odd: list[int] = []
        for index in range(begin, min(begin + stretch, len(points))):
            y = points[index][1]
            if is_drawn(y):
                known.append((y, index))
            else:
                odd.append(index)
        kept.update(index for _, index in ({min(known), max(known)} if known else ()))
        kept.update(odd[:1])
    return [points[index] for index in sorted(kept)]


def runs(points: Sequence[Point]) -> list[list[tuple[float, float]]]:
    """Split a curve into its stretches of finite values, so that a gap is drawn as a gap."""
    found: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if is_drawn(y):
            found[-1].append((x, y))
        elif found[-1]:
            found.append([])
    return [run for run in found if run]
