"""Pools of process pairs whose slowdown and spread are known."""

import numpy as np

from harness.sensitivity.pool import Block
from harness.sensitivity.rates import KINDS, SIZES


def pool(
    pairs: int = 24,
    spread: float = 0.01,
    step_spread: float = 0.02,
    sizes: tuple[float, ...] = SIZES,
    seed: int = 0,
) -> list[Block]:
    """Return pairs of 20 turns whose log ratio has the given spread around the injected size.

    Every other pair is as much above it as the one before was below: their mean is the size.
    """
    random = np.random.default_rng(seed)
    blocks, luck = [], 0.0
    for pair in range(pairs):
        luck = -luck if pair % 2 else random.normal(0, spread)
        for size in sizes:
            batch = 0.075 * np.exp(random.normal(0, 0.05, 20))
            plain = batch * np.exp(random.normal(0, step_spread, 20))
            slowed = batch * np.exp(luck + np.log1p(size) + random.normal(0, step_spread, 20))
            blocks.append(
                Block(
                    pair=pair,
                    kind=KINDS[pair % 3],
                    size=size,
                    slowed="ab"[pair // 3 % 2],
                    plain_s=tuple(plain),
                    slowed_s=tuple(slowed),
                )
            )
    return blocks
