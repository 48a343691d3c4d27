"""Compare measured figures with an approved baseline, or say why that is impossible."""

from collections.abc import Callable, Mapping
from typing import Any

from harness.baselines.bands import MIN_REPEATS, Band
from harness.baselines.baseline import Comparable
from harness.checks import Context, verdict
from harness.conditions import TIMED, disturbances
from harness.figures import OVER_REFERENCE, worse
from harness.record import Record
from harness.reference_ratio import ratios as over_reference
from harness.verdict import Outcome, Verdict

WIDEST_USEFUL_MARGIN = 1.5
"""A band that hides a change by half could not fail on the regressions this check exists for."""


def compare(
    check: str,
    record: Record,
    figures: Mapping[str, float],
    context: Context,
    *,
    shown: Callable[[str, float], str],
    diagnosis: tuple[str, ...],
    advice: tuple[str, ...],
) -> Verdict:
    """Judge `figures` against their bands; only the worse side of a band can FAIL.

    A timing that would FAIL is INFRA where something disturbed the run: neither red nor green.

    Args:
        check: The name of the check.
        record: The run that is judged.
        figures: What it measured, by name.
        context: Has the approved figures of the experiment, or the machines that have some.
        shown: Turns a figure's name and value into text with its unit.
        diagnosis: Causes to name on a FAIL.
        advice: What to change on a FAIL.
    """
    evidence: dict[str, Any] = {**figures}
    timed = TIMED.get(check, ())
    disturbed = disturbances(record, timed) if timed else []
    if disturbed:
        evidence["disturbed"] = disturbed

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

    if not figures:
        return answer(Outcome.SKIPPED, "the run measured none of these figures")
    beside = over_reference(record, context.reference, check)
    evidence |= beside
    measured = ", ".join(
        _shown(name, value, shown) for name, value in {**figures, **beside}.items()
    )
    baseline = context.baseline
    if baseline is None:
        return answer(Outcome.UNCALIBRATED, f"{measured}; {_no_baseline(record, context.machines)}")
    if differences := baseline.comparable.differences(Comparable.of(record)):
        evidence["differences"] = differences
        why = "; ".join(f"{key}: {a!r} then, {b!r} now" for key, (a, b) in differences.items())
        return answer(Outcome.INCOMPARABLE, f"{measured}; the baseline differs in {why}")
    if len(baseline.runs) < MIN_REPEATS:
        why = f"the baseline has {len(baseline.runs)} repeat(s), a band needs {MIN_REPEATS}"
        return answer(Outcome.UNCALIBRATED, f"{measured}; {why}")
    figures = {**figures, **{n: ratio for n, ratio in beside.items() if n in baseline.bands}}
    bands = {name: baseline.bands[name] for name in figures if name in baseline.bands}
    useful = {name: band for name, band in bands.items() if _is_useful(name, band)}
    evidence["bands"] = {name: band.model_dump() for name, band in bands.items()}
    evidence["not_judged"] = unseen = [name for name in figures if name not in useful]
    # A wide band cannot say that all is well; what is outside of it is outside all the same.
    outside = [name for name, band in bands.items() if _is_worse(name, figures[name], band)]
    if not useful and not outside:
        why = "its repeats spread too far to see a change by half" if bands else "it lacks them"
        return answer(Outcome.UNCALIBRATED, f"{measured}; the baseline has no useful band: {why}")
    evidence["ratios"] = ratios = {n: figures[n] / band.center for n, band in bands.items()}
    evidence["baseline_release"] = baseline.release
    named = outside or [_worst({name: ratios[name] for name in useful})]
    comparison = "; ".join(_sentence(name, figures[name], bands[name], shown) for name in named)
    unseen = [name for name in unseen if name not in outside]
    note = f"; no useful band for {', '.join(unseen)}" if unseen else ""
    if outside and disturbed:
        why = f"but the run was disturbed and says nothing: {'; '.join(disturbed)}"
        return answer(Outcome.INFRA, f"{comparison}{note}; {why}; run it again alone, with --fresh")
    return answer(Outcome.FAIL if outside else Outcome.PASS, comparison + note)


def _no_baseline(record: Record, machines: tuple[str, ...]) -> str:
    elsewhere = f", only on {', '.join(machines)}" if machines else ""
    here = Comparable.of(record).machine
    return f"no baseline of this experiment has been approved on {here}{elsewhere}"


def _is_useful(name: str, band: Band) -> bool:
    lower = worse(name) == "lower"
    margin = band.center / band.low if lower else band.high / band.center
    return margin <= WIDEST_USEFUL_MARGIN


def _is_worse(name: str, value: float, band: Band) -> bool:
    return value < band.low if worse(name) == "lower" else value > band.high


def _worst(ratios: Mapping[str, float]) -> str:
    return max(
        ratios, key=lambda name: 1 / ratios[name] if worse(name) == "lower" else ratios[name]
    )


def _sentence(name: str, value: float, band: Band, shown: Callable[[str, float], str]) -> str:
    return (
        f"{_shown(name, value, shown)} is {value / band.center:.3f} x the baseline "
        f"(band {band.low / band.center:.3f} ... {band.high / band.center:.3f} x)"
    )


def _shown(name: str, value: float, shown: Callable[[str, float], str]) -> str:
    if name.endswith(OVER_REFERENCE):
        return f"{value:.3g} x the reference stack in {name.removesuffix(OVER_REFERENCE)}"
    return shown(name, value)


def _label(record: Record) -> str:
    if record.hardware.kind == "native":
        return ""
    return f" (emulated on {record.hardware.device}: not a figure of a {record.hardware.name})"
