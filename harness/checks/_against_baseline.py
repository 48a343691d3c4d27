"""Compare measured figures with an approved baseline, or say why that is impossible."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from harness.bands import MIN_REPEATS, Band
from harness.baselines import Baseline, Comparable
from harness.checks import verdict
from harness.record import Record
from harness.verdict import Outcome, Verdict

WIDEST_USEFUL_MARGIN = 1.5
"""A band that hides a change by half could not fail on the regressions this check exists for."""


def compare(
    check: str,
    record: Record,
    figures: Mapping[str, float],
    baseline: Baseline | None,
    *,
    worse: Literal["lower", "higher"],
    shown: Callable[[str, float], str],
    diagnosis: tuple[str, ...],
    advice: tuple[str, ...],
) -> Verdict:
    """Judge `figures` against their bands; only the `worse` side of a band can FAIL.

    Args:
        check: The name of the check.
        record: The run that is judged.
        figures: What it measured, by name.
        baseline: The approved figures of the cell.
        worse: The side on which a figure is a regression.
        shown: Turns a figure's name and value into text with its unit.
        diagnosis: Causes to name on a FAIL.
        advice: What to change on a FAIL.
    """
    evidence: dict[str, Any] = {**figures}

    def answer(outcome: Outcome, message: str) -> Verdict:
        red = outcome.is_red
        return verdict(
            check,
            record,
            outcome,
            message + _label(record),
            diagnosis=diagnosis if red else (),
            advice=advice if red else (),
            **evidence,
        )

    measured = ", ".join(shown(name, value) for name, value in figures.items())
    if not figures:
        return answer(Outcome.SKIPPED, "the run measured none of these figures")
    if baseline is None:
        why = "no baseline of this cell has been approved yet"
        return answer(Outcome.UNCALIBRATED, f"{measured}; {why}")
    differences = baseline.comparable.differences(Comparable.of(record))
    if differences:
        evidence["differences"] = differences
        why = "; ".join(f"{key}: {a!r} then, {b!r} now" for key, (a, b) in differences.items())
        return answer(Outcome.INCOMPARABLE, f"{measured}; the baseline differs in {why}")
    if len(baseline.runs) < MIN_REPEATS:
        why = f"the baseline has {len(baseline.runs)} repeat(s), a band needs {MIN_REPEATS}"
        return answer(Outcome.UNCALIBRATED, f"{measured}; {why}")
    bands = {name: baseline.bands[name] for name in figures if name in baseline.bands}
    useful = {name: band for name, band in bands.items() if _is_useful(band, worse)}
    evidence["bands"] = {name: band.model_dump() for name, band in bands.items()}
    evidence["not_judged"] = unseen = [name for name in figures if name not in useful]
    if not useful:
        why = "its repeats spread too far to see a change by half" if bands else "it lacks them"
        return answer(Outcome.UNCALIBRATED, f"{measured}; the baseline has no useful band: {why}")
    evidence["ratios"] = ratios = {n: figures[n] / band.center for n, band in useful.items()}
    outside = [name for name, band in useful.items() if _is_worse(figures[name], band, worse)]
    named = outside or [_worst(ratios, worse)]
    comparison = "; ".join(_sentence(name, figures[name], useful[name], shown) for name in named)
    note = f"; no useful band for {', '.join(unseen)}" if unseen else ""
    return answer(Outcome.FAIL if outside else Outcome.PASS, comparison + note)


def _is_useful(band: Band, worse: str) -> bool:
    margin = band.center / band.low if worse == "lower" else band.high / band.center
    return margin <= WIDEST_USEFUL_MARGIN


def _is_worse(value: float, band: Band, worse: str) -> bool:
    return value < band.low if worse == "lower" else value > band.high


def _worst(ratios: Mapping[str, float], worse: str) -> str:
    pick = min if worse == "lower" else max
    return pick(ratios, key=lambda name: ratios[name])


def _sentence(name: str, value: float, band: Band, shown: Callable[[str, float], str]) -> str:
    return (
        f"{shown(name, value)} is {value / band.center:.3f} x the baseline "
        f"(band {band.low / band.center:.3f} ... {band.high / band.center:.3f} x)"
    )


def _label(record: Record) -> str:
    if record.hardware.kind == "native":
        return ""
    return f" (emulated on {record.hardware.device}: not a figure of a {record.hardware.name})"
