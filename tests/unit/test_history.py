from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.baselines.baseline import Comparable
from harness.errors import SelectionError
from harness.history.record_query import Found, Run, Setting
from harness.history.series import Order, Series, Trends, trace

START = datetime(2026, 1, 1, tzinfo=UTC)


def run(number: int = 0, release: str = "2026.1.1", speed: float = 10.0, **changes: Any) -> Run:
    """Return a run that started `number` minutes into the year; changes go where they belong."""
    keys = {name: changes.pop(name) for name in list(changes) if name in Comparable.model_fields}
    comparable: dict[str, Any] = {
        "recipe_digest": "abc",
        "dtype_request": "float32",
        "stack_family": "unsloth",
        "hardware": "cpu",
        "hardware_kind": "native",
        "device": "Example CPU",
        "threads": 1,
        "parallel_cells": 1,
        **keys,
    }
    family = comparable["stack_family"]
    stack = changes.pop("stack", f"{family}-{release}")
    started_at = changes.pop("started_at", START.replace(minute=number).isoformat())
    disturbed = changes.pop("disturbed", ())
    figures = changes.pop("figures", {"steps_per_s": speed})
    setting: dict[str, Any] = {
        "cell_id": f"{stack}/{comparable['hardware']}/{comparable['dtype_request']}/mild",
        "status": "COMPLETED",
        "fault": None,
        "extras": (),
        "recipe": "mild",
        "stack": stack,
        "release": release,
        "emulation": "",
        "phases": (),
        **changes,
    }
    return Run(
        Setting(comparable=Comparable(**comparable), **setting),
        key=f"{number:03}",
        repeat=0,
        started_at=started_at,
        figures=figures,
        disturbed=disturbed,
    )


def traced(*runs: Run, **options: Any) -> Trends:
    return trace(Found(list(runs)), **options)


def values(series: Series, figure: str = "steps_per_s") -> list[float]:
    (trend,) = (trend for trend in series.trends if trend.figure == figure)
    return [point.value for point in trend.points]


def test_releases_are_of_one_series_and_in_their_order() -> None:
    found = traced(run(0, "2026.10.1", 3.0), run(1, "2026.9.1", 2.0), run(2, "2026.1.1", 1.0))

    (series,) = found.series
    assert series.title == "unsloth cpu/float32/mild"
    assert values(series) == [1.0, 2.0, 3.0]


def test_by_date_the_day_comes_first() -> None:
    found = traced(run(0, "2026.10.1", 3.0), run(1, "2026.9.1", 2.0), order=Order.DATE)

    assert values(found.series[0]) == [3.0, 2.0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"fault": "frozen_adapter"}, "fault injected"),
        ({"extras": ("first_step",)}, "ran with extras (first_step)"),
        ({"preloaded": True}, "forked from a preloaded process"),
        ({"status": "CRASHED"}, "ended as CRASHED"),
        ({"release": "<script>"}, "release is no version"),
        ({"started_at": "yesterday"}, "started_at is no time"),
        ({"started_at": "0001-01-01T00:00:00+14:00"}, "started_at is no time"),
    ],
)
def test_a_run_that_is_not_plain_is_left_out_and_counted(
    changes: dict[str, Any], reason: str
) -> None:
    found = traced(run(0), run(1, **changes))

    assert found.left_out == {reason: 1}
    assert (found.runs, values(found.series[0])) == (1, [10.0])


@pytest.mark.parametrize(
    ("phase", "kept"),
    [
        ("train", {"eval_loss", "peak_rss.train"}),
        ("eval", {"eval_loss", "peak_rss.train", "import_s"}),
        ("load", {"eval_loss", "peak_rss.train", "steps_per_s"}),
        ("save", {"eval_loss", "peak_rss.train", "steps_per_s", "import_s"}),
    ],
)
def test_times_of_a_disturbed_machine_are_in_no_trend(phase: str, kept: set[str]) -> None:
    figures = {"steps_per_s": 1.0, "import_s": 1.0, "eval_loss": 4.0, "peak_rss.train": 5.0}

    found = traced(run(0, figures=figures, disturbed=(phase,)))

    assert {trend.figure for trend in found.series[0].trends} == kept
    assert list(found.left_out.values()) == ([] if len(kept) == 4 else [1])


@pytest.mark.parametrize(
    ("key", "other"),
    [("device", "Another CPU"), ("threads", 2), ("parallel_cells", 4), ("recipe_digest", "def")],
)
def test_runs_that_are_not_comparable_are_of_two_series_told_apart(key: str, other: Any) -> None:
    found = traced(run(0), run(1, **{key: other}))

    assert len(found.series) == 2
    assert found.runs == 2
    assert {f"{key} {other}" in series.title for series in found.series} == {True, False}
    assert len({series.title for series in found.series}) == 2


def test_emulated_hardware_is_said_to_be() -> None:
    emulated: dict[str, Any] = {
        "hardware": "t4-emulated",
        "hardware_kind": "emulated",
        "emulation": "emulated",
    }
    over: dict[str, Any] = {"hardware": "t4-over-h100", "hardware_kind": "emulated"}

    found = traced(run(0, **emulated), run(1, **over, emulation="emulated over NVIDIA H100"))

    assert [series.name for series in found.series] == [
        "unsloth t4-emulated/float32/mild",
        "unsloth t4-over-h100/float32/mild (emulated over NVIDIA H100)",
    ]


def test_a_slower_release_is_a_change_at_that_release() -> None:
    speeds = [10.0, 10.1, 9.9, 10.0, 10.05, 9.95]
    runs = [run(n, "2026.1.1", s) for n, s in enumerate(speeds)]
    runs += [run(n + 6, "2026.2.1", s * 0.9) for n, s in enumerate(speeds)]

    (trend,) = traced(*runs).series[0].trends

    (change,) = trend.changes
    assert trend.since(change) == "2026.1.1 -> 2026.2.1, from 2026-01-01 on"
    assert trend.is_worse(change)
    assert change.change == pytest.approx(-0.1)


def test_a_change_between_two_runs_of_one_release_says_so() -> None:
    runs = [run(n, figures={"eval_loss": 4.0 if n < 5 else 4.1}) for n in range(10)]

    (trend,) = traced(*runs).series[0].trends

    assert trend.since(trend.changes[0]).startswith("within 2026.1.1")
    assert trend.is_worse(trend.changes[0])


@pytest.mark.parametrize(
    "pattern", ["unsloth-2026.1.1/cpu/float32/mild", "*/cpu/*", "cpu/float32/*"]
)
def test_cells_are_chosen_by_id_pattern_or_without_their_stack(pattern: str) -> None:
    found = traced(run(0), run(1, hardware="l4"), cells=[pattern])

    assert [series.comparable.hardware for series in found.series] == ["cpu"]


def test_what_is_not_there_is_an_error_that_says_what_is() -> None:
    with pytest.raises(SelectionError, match=r"there are runs of unsloth-2026\.1\.1/cpu"):
        traced(run(0), cells=["l4/*"])
    with pytest.raises(SelectionError, match="there are steps_per_s"):
        traced(run(0), figures=["speed"])


def test_since_passes_earlier_runs_over() -> None:
    found = traced(run(0, speed=1.0), run(5, speed=2.0), since=START.replace(minute=3))

    assert values(found.series[0]) == [2.0]


def test_live_stacks_come_after_the_release_they_are_of() -> None:
    found = traced(run(0, "2026.9.1", 2.0, stack="frontier"), run(1, "2026.9.1", 1.0))

    (trend,) = found.series[0].trends
    assert [p.release.label for p in trend.points] == ["2026.9.1", "frontier (2026.9.1)"]


@given(
    st.permutations([run(n, f"2026.{n % 4 + 1}.1", float(n), threads=n % 2 + 1) for n in range(12)])
)
def test_every_run_is_counted_once_and_order_of_files_does_not_matter(runs: list[Run]) -> None:
    found = traced(*runs)

    assert found == traced(*sorted(runs, key=lambda r: r.key))
    assert sum(len(values(series)) for series in found.series) == found.runs == 12
    for series in found.series:
        for one, two in pairwise(series.trends[0].points):
            assert (one.release.order, one.when) <= (two.release.order, two.when)
