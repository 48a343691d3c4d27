import math
import re
from itertools import pairwise
from xml.etree import ElementTree

from hypothesis import example, given
from hypothesis import strategies as st

from harness.reports.axes import Point, Scale, is_drawn, round_step, runs, thin, value_scale
from harness.reports.curves import Curve, comparison, end_label, in_words, key, small
from tests.unit.gate_results import HOSTILE

NAN, INF = math.nan, math.inf
finite = st.floats(-1e12, 1e12)
values = st.none() | st.floats()
points = st.lists(values, max_size=300).map(lambda ys: [(float(x), y) for x, y in enumerate(ys)])


def placed(svg: str) -> str:
    found = re.findall(r' (?:d|x|y)="([^"]*)"|<text[^>]*>([^<]*)', svg)
    return " ".join(f"{attribute} {label}" for attribute, label in found)


@given(points, st.booleans())
@example([(0.0, 5e-324)], True)
def test_any_curve_gives_well_formed_svg_with_finite_coordinates(
    curve: list[Point], log: bool
) -> None:
    svg = small(curve, "train loss by step", log=log, markers=True, limit=65504.0)

    ElementTree.fromstring(svg)
    assert not re.search("nan|inf", placed(svg))


@given(points, st.integers(6, 200))
def test_thinning_keeps_the_ends_the_extremes_and_a_trace_of_what_is_not_finite(
    curve: list[Point], limit: int
) -> None:
    kept = thin(curve, limit)
    ys = [y for _, y in curve if is_drawn(y)]
    kept_ys = [y for _, y in kept if is_drawn(y)]

    assert len(kept) <= max(limit * 4 / 3 + 6, 8)
    assert kept == sorted(kept, key=lambda p: p[0])
    if curve:
        assert [kept[0][0], kept[-1][0]] == [curve[0][0], curve[-1][0]]
    if ys:
        assert (min(kept_ys), max(kept_ys)) == (min(ys), max(ys))
    assert all(is_drawn(y) for _, y in curve) == all(is_drawn(y) for _, y in kept)


@given(points)
def test_runs_hold_every_finite_point_once_and_never_join_over_a_gap(curve: list[Point]) -> None:
    found = runs(curve)

    expected = [(x, y) for x, y in curve if is_drawn(y)]
    assert [point for run in found for point in run] == expected
    assert all(b[0] - a[0] == 1 for run in found for a, b in pairwise(run))


@given(st.lists(finite, min_size=1, max_size=20))
def test_a_value_scale_holds_its_values_inside_the_frame(ys: list[float]) -> None:
    scale = value_scale(ys, 100.0, 0.0)

    assert all(-1e-6 <= scale(y) <= 100 + 1e-6 for y in ys)


@given(st.floats(1e-9, 1e9))
def test_a_round_step_is_round_and_barely_larger(raw: float) -> None:
    step = round_step(raw)

    assert raw * (1 - 1e-9) <= step <= 2.5 * raw
    assert f"{step:e}"[0] in "125"


def test_ticks_of_epochs_are_whole() -> None:
    assert Scale(0, 3, 0, 1).ticks(6, whole=True) == [0, 1, 2, 3]
    assert Scale(0, 3, 0, 1).ticks(6) == [0, 0.5, 1, 1.5, 2, 2.5, 3]


def test_logarithmic_ticks_are_decades() -> None:
    assert Scale(5, 2e5, 0, 1, log=True).ticks(5) == [10, 100, 1000, 10000, 100000]


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=20))
@example([(0.0, 0.0), (5e-324, 0.0)])
def test_a_corrupt_x_is_left_out(curve: list[tuple[float, float]]) -> None:
    assert not re.search("nan|inf", placed(small(curve, "loss")))


def test_a_frozen_curve_is_a_level_line() -> None:
    svg = small([(0.0, 6.9392), (1.0, 6.9392), (2.0, 6.9392)], "eval_loss")

    line = re.search(r'class="line" d="([^"]+)"', svg)
    assert line is not None
    assert len({part.split()[1] for part in re.split("[ML]", line[1])[1:]}) == 1


def test_what_is_not_finite_is_drawn_as_crosses_and_said_in_words() -> None:
    svg = small([(1.0, 2.0), (2.0, NAN), (3.0, INF)], "grad_norm")

    assert 'class="cross"' in svg
    assert "2 values of 3 not finite" in svg


def test_a_finite_curve_has_no_cross() -> None:
    assert "cross" not in small([(1.0, 2.0), (2.0, 1.0)], "grad_norm")


def test_skipped_steps_are_ticked() -> None:
    svg = small([(1.0, 2.0), (2.0, 1.0), (3.0, 1.0)], "train loss", skipped=[2.0, 3.0])

    ticks = re.search(r'class="lost" d="([^"]+)"', svg)
    assert ticks is not None
    assert ticks[1].count("M") == 2
    assert "lost" not in small([(1.0, 2.0), (2.0, 1.0)], "train loss")


def test_a_limit_is_drawn_and_labelled() -> None:
    svg = small([(0.0, 10.0), (1.0, 8e5)], "max |activation|", log=True, limit=65504.0)

    assert 'class="limit"' in svg
    assert ">65504<" in svg


def test_text_is_escaped_in_titles_and_attributes() -> None:
    svg = comparison([Curve(HOSTILE, [(0.0, 1.0), (1.0, 0.5)])], HOSTILE)

    root = ElementTree.fromstring(svg)
    assert not [tag for tag in root.iter() if tag.tag in ("script", "img")]
    assert root.attrib["aria-label"] == HOSTILE
    assert "<script" not in svg


def test_styles_differ_in_more_than_colour() -> None:
    shapes = {re.sub(r'class="key[^"]*"', "", str(key(style))) for style in range(8)}

    assert len(shapes) == 8


def test_a_curve_in_words() -> None:
    assert in_words([3.0, 1.0, None]) == (
        "first 3, last 1; lowest 1, highest 3; 1 of 3 not reported"
    )
    assert in_words([]) == "nothing was measured"
    assert end_label([]) == "no evaluation"
    assert end_label([(0.0, 6.74), (1.0, NAN)]) == "6.7400 → nan"
