"""What becomes of a fresh process after training, from its events and its exit code."""

from pathlib import Path
from typing import Any

import pytest

from harness.payload.afterwards import Saved, by_step, entries
from harness.record import Afterwards

MERGE = Saved("merge", "saved/merged", "merge_and_unload")
EVALUATION = {"event": "evaluation", "step": 0, "epoch": 0.0, "eval_loss": 4.2}
EVENTS: list[dict[str, Any]] = [
    {"event": "phase", "name": "load"},
    {"event": "reopened", "kind": "merge", "dtypes": {"float32": 80}},
    EVALUATION,
    {"event": "reopened", "kind": "base"},
    {**EVALUATION, "eval_loss": 6.7},
    {"event": "done"},
]


def folded(events: list[dict[str, Any]], exit_code: int) -> list[Afterwards]:
    return [Afterwards(**fields) for fields in entries(MERGE, events, exit_code)]


def test_each_model_that_was_opened_is_an_entry() -> None:
    merged, base = folded(EVENTS, 0)
    assert (merged.kind, base.kind) == ("merge", "base")
    assert [e.eval_loss for e in (*merged.evaluations, *base.evaluations)] == [4.2, 6.7]
    assert (merged.how, merged.failure, base.failure) == ("merge_and_unload", None, None)


def test_what_it_raised_is_kept_where_it_was() -> None:
    raised = {"event": "failure", "phase": "evaluate", "kind": "ValueError", "message": "no"}
    merged, base = folded([*EVENTS[:4], raised], 1)
    assert merged.failure is None
    assert base.failure is not None
    assert (base.failure.phase, base.failure.kind) == ("evaluate", "ValueError")


@pytest.mark.parametrize(
    ("events", "exit_code", "phase", "kind"),
    [
        ([], -9, "start", "SIGKILL"),
        (EVENTS[:1], -11, "load", "SIGSEGV"),
        (EVENTS[:1], 3, "load", "exit code 3"),
        (EVENTS, -6, "exit", "SIGABRT"),
        (EVENTS[:-1], 0, "load", "exit code 0"),
    ],
)
def test_a_death_without_a_word_is_named(
    events: list[dict[str, Any]], exit_code: int, phase: str, kind: str
) -> None:
    failure = folded(events, exit_code)[-1].failure
    assert failure is not None
    assert (failure.phase, failure.kind) == (phase, kind)


def test_checkpoints_are_in_the_order_of_their_steps(tmp_path: Path) -> None:
    for step in (100, 20, 9):
        (tmp_path / f"checkpoint-{step}").mkdir()
    assert [path.name for path in by_step(tmp_path)] == [
        "checkpoint-9",
        "checkpoint-20",
        "checkpoint-100",
    ]
