"""Rows of a batch, padded or packed into one long row, brought side by side."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

IGNORED = -100
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """The sequences of a batch.

    Attributes:
        positions: For each, the places of its tokens in the flattened batch.
        ids: For each, its tokens.
        shape: Of the batch as the model got it.
    """

    positions: list[Integers]
    ids: list[Integers]
    shape: tuple[int, ...]

    @property
    def layout(self) -> str:
        """How the batch was laid out."""
        packed = "packed" if len(self.ids) > self.shape[0] else "padded or full"
        return f"{len(self.ids)} rows, {self.shape[0]} x {self.shape[1]}, {packed}"


@dataclass(frozen=True)
class Pairing:
    """Tokens that both sides have, and what is wrong with the rest.

    Attributes:
        a, b: Places in the flattened batches; a[i] and b[i] are the same token after the same past.
        rows: Pairs of numbers of rows.
        problem: What differs between the two sides' tokens; empty if nothing does.
    """

    a: Integers
    b: Integers
    rows: list[tuple[int, int]]
    problem: str


def rows(batch: dict[str, npt.NDArray[Any]]) -> Rows:
    """Take a batch apart.

    Padding is what `attention_mask` leaves out; a row also starts where `position_ids` is 0.

    Args:
        batch: `input_ids` of shape (batch, tokens), and the others of the same shape if there.
    """
    ids = batch["input_ids"]
    mask = batch.get("attention_mask", np.ones_like(ids)) != 0
    starts = np.zeros_like(mask)
    if "position_ids" in batch:
        starts = batch["position_ids"] == 0
    found: list[Integers] = []
    for number in range(ids.shape[0]):
        real = np.flatnonzero(mask[number])
        cuts = np.flatnonzero(starts[number][real])
        pieces = np.split(real, cuts[cuts > 0])
        found += [piece + number * ids.shape[1] for piece in pieces if piece.size]
    flat = ids.reshape(-1)
    return Rows(found, [flat[places] for places in found], ids.shape)


def pair(a: Rows, b: Rows) -> Pairing:
    """Pair equal rows wherever they stand, then the rest in order, each up to its first difference.

    Attention is causal: tokens before the first one that differs have seen the same.
    """
    waiting: dict[bytes, list[int]] = defaultdict(list)
    for number, ids in enumerate(b.ids):
        waiting[ids.tobytes()].append(number)
    equal = [
        (number, waiting[ids.tobytes()].pop(0))
        for number, ids in enumerate(a.ids)
        if waiting[ids.tobytes()]
    ]
    taken_a, taken_b = {i for i, _ in equal}, {j for _, j in equal}
    rest_a = [i for i in range(len(a.ids)) if i not in taken_a]
    rest_b = [j for j in range(len(b.ids)) if j not in taken_b]
    rest = list(zip(rest_a, rest_b, strict=False))
    pairs = sorted(equal + rest)
    common = [(i, j, _common(a.ids[i], b.ids[j])) for i, j in pairs]
    return Pairing(
        _joined([a.positions[i][:n] for i, _, n in common]),
        _joined([b.positions[j][:n] for _, j, n in common]),
        pairs,
        _problem(a, b, rest, equal),
    )


def _problem(a: Rows, b: Rows, rest: list[tuple[int, int]], equal: list[tuple[int, int]]) -> str:
    if len(a.ids) != len(b.ids):
        return f"{len(a.ids)} rows against {len(b.ids)}"
    if rest:
        i, j = rest[0]
        n = _common(a.ids[i], b.ids[j])
        tokens = [str(ids[n]) if n < len(ids) else "none" for ids in (a.ids[i], b.ids[j])]
        return (
            f"row {i + 1}: {len(a.ids[i])} tokens against {len(b.ids[j])}, "
            f"token {n + 1} is {tokens[0]} against {tokens[1]}"
        )
    moved = [i for i, j in equal if i != j]
    # Of equal rows any order is the same order.
    moved = [i for i in moved if not np.array_equal(a.ids[i], b.ids[i])]
    return "the same rows in another order" if moved else ""


def supervised(labels: Integers) -> int:
    """Return how many tokens the loss is over: a label counts at the place before it."""
    return int((labels[:, 1:] != IGNORED).sum())


def label_problem(pairing: Pairing, a: Rows, b: Rows, labels: tuple[Integers, Integers]) -> str:
    """Say where the labels of paired rows differ. A row's first label is never predicted."""
    flat = [side.reshape(-1) for side in labels]
    for i, j in pairing.rows:
        left, right = flat[0][a.positions[i]][1:], flat[1][b.positions[j]][1:]
        n = _common(left, right)
        if n < max(len(left), len(right)):
            texts = [str(side[n]) if n < len(side) else "none" for side in (left, right)]
            return f"row {i + 1}, token {n + 2}: {texts[0]} against {texts[1]}"
    return ""


def _common(a: Integers, b: Integers) -> int:
    length = min(len(a), len(b))
    different = np.flatnonzero(a[:length] != b[:length])
    return int(different[0]) if different.size else length


def _joined(parts: list[Integers]) -> Integers:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)
