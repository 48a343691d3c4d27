"""Look for a recipe that violates a relation, and shrink it to the smallest one that does.

Hypothesis generates the recipes and shrinks; every example is real runs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, strategies

from harness.matrix import Cell
from harness.relation_trials import Trial
from harness.verdict import Outcome

_LAYERS = (
    ("q_proj", "k_proj", "v_proj", "o_proj"),
    ("gate_proj", "up_proj", "down_proj"),
    ("q_proj", "v_proj"),
)

_UNFINISHED = (Outcome.CRASHED, Outcome.OOM, Outcome.TIMEOUT, Outcome.INFRA)

FIELDS: dict[str, strategies.SearchStrategy[Any]] = {
    "batch_size": strategies.integers(1, 4),
    "gradient_accumulation": strategies.integers(1, 4),
    "train_rows": strategies.integers(4, 14),
    "eval_rows": strategies.integers(2, 10),
    "eval_batch_size": strategies.integers(1, 4),
    "max_seq_length": strategies.sampled_from([64, 96]),
    "gradient_checkpointing": strategies.booleans(),
    "attention": strategies.sampled_from(["eager", "sdpa"]),
    "responses_only": strategies.booleans(),
    "pad_to_multiple_of": strategies.sampled_from([8, 32]),
    "weight_decay": strategies.sampled_from([0.01]),
    "max_grad_norm": strategies.sampled_from([0.3]),
    "seed": strategies.integers(0, 999),
    "lora.r": strategies.sampled_from([1, 2, 16]),
    "lora.target_modules": strategies.sampled_from(_LAYERS),
}
"""What varies. Fewer fields are simpler, and so is an earlier value: that is how a recipe shrinks."""


@dataclass(frozen=True)
class Search:
    """What a search came to.

    Attributes:
        smallest: The simplest trial found that violates its relation, None when all held.
        trials: All recipes tried, shrinking included.
    """

    smallest: Trial | None
    trials: tuple[Trial, ...]

    @property
    def unfinished(self) -> list[Trial]:
        """Trials without an answer, because a run did not finish."""
        return [t for t in self.trials if t.verdict.outcome in _UNFINISHED]


class _Violated(Exception):  # noqa: N818 - ends one example
    pass


def search(
    cells: Sequence[Cell], judge: Callable[[Cell], Trial], *, examples: int, seed: int
) -> Search:
    """Try recipes until one violates the relation that `judge` runs, then shrink it.

    Args:
        cells: What to vary, the simplest first.
        judge: Runs one relation on one cell.
        examples: How many recipes to try when nothing is found.
        seed: Of the generator.

    Raises:
        HarnessError: What `judge` raises.
    """
    tried: list[Trial] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @hypothesis.given(
        strategies.sampled_from(list(cells)), strategies.fixed_dictionaries({}, optional=FIELDS)
    )
    def holds(cell: Cell, fields: dict[str, Any]) -> None:
        trial = judge(cell.varied(fields))
        tried.append(trial)
        if trial.verdict.outcome is Outcome.FAIL:
            raise _Violated

    try:
        holds()
        smallest = None
    except _Violated:
        # Hypothesis runs the smallest example last.
        smallest = tried[-1]
    return Search(smallest, tuple(tried))
