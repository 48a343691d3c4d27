"""Whatever figures a payload sends, they are judged and reported: no answer of a release ends the gate."""

import math
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import reports
from harness.gate import GateResult, judge_cells
from harness.record import Record
from tests.unit.records import make_record

# What a payload answers with; the rest of a record is the harness's own.
ANSWERED = (
    "phases",
    "steps",
    "evaluations",
    "executed",
    "precision",
    "adapter",
    "base_weights",
    "rows",
    "probe",
    "scaler",
    "translations",
)
NUMBERS = (0.0, 1.0, -1.0, -0.0, 1e308, -1e308, 5e-324, math.nan, math.inf, -math.inf)
TEXTS = (
    "",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "a" * 5000,
    "|\n# x",
    "[bold]",
    "\ufffd",
)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to each value, containers too."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(found for key, one in inner for found in leaves(one, (*path, key)))]


HEALTHY = make_record().model_dump()
BEFORE = make_record(
    cell_id="unsloth-2026.10.8/cpu/float32/mild",
    key="1123456789ab",
    stack={"name": "unsloth-2026.10.8", "release": "2026.10.8", "lock_digest": "bbbbbbbbbbbb"},
)
PLACES = [(name, *place) for name in ANSWERED for place in leaves(HEALTHY[name])]


def instead_of(place: tuple[Any, ...]) -> st.SearchStrategy[tuple[tuple[Any, ...], Any]]:
    """Draw what may stand in a place: mostly what is of its own type."""
    was: Any = HEALTHY
    for key in place:
        was = was[key]
    kinds: dict[type, tuple[Any, ...]] = {
        int: (0, 1, 3, 2**53 - 1),
        float: NUMBERS,
        str: TEXTS,
        list: (
            [],
            was * 2 if isinstance(was, list) else [],
            was[:1] if isinstance(was, list) else [],
        ),
        dict: ({}, {"<script>alert(1)</script>": 1, "../x": 1}),
        bool: (True, False),
    }
    return st.tuples(st.just(place), st.sampled_from([*kinds.get(type(was), NUMBERS)]))


CHANGES = st.lists(st.sampled_from(PLACES).flatmap(instead_of), min_size=1, max_size=8)


def put(data: Any, path: tuple[Any, ...], value: Any) -> None:
    for key in path[:-1]:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return  # Another change has taken it away.
    try:
        data[path[-1]] = deepcopy(value)
    except (IndexError, TypeError):
        return


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(CHANGES)
def test_whatever_is_answered_is_judged_and_reported(changes: list[tuple[Any, Any]]) -> None:
    data = deepcopy(HEALTHY)
    for path, value in changes:
        put(data, path, value)
    try:
        record = Record.model_validate(data)
    except ValueError:
        return  # Refused when it arrived (`harness.events`).
    judged = judge_cells([(BEFORE, False), (record, False)])
    result = GateResult(
        command="c", started_at=record.started_at, duration_s=1.0, harness_version="0", cells=judged
    )
    with tempfile.TemporaryDirectory() as folder:
        reports.write(result, Path(folder))
        page = (Path(folder) / reports.PAGE_NAME).read_text(encoding="utf-8")
    assert "<script>alert" not in page
