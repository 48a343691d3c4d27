"""Training and evaluation are as fast as in the approved baseline.

Exists for U#1111 and U#1321 (2-5 x slower after an upgrade), U#2126 (Gemma-3 slow against plain
transformers) and U#1711 (evaluation 25-35 % slower). Figures are medians over the steady window of
`harness.figures.throughput_figures`; the bands come from repeats, see `harness.baselines.bands`.
"""

from harness.checks import Context, verdict
from harness.checks._against_baseline import compare
from harness.figures import MIN_STEADY_STEPS, WARM_UP_STEPS, steady_steps, throughput_figures
from harness.model_flops import model_flops_utilisation
from harness.record import Record
from harness.verdict import Outcome, Verdict

_UNITS = {
    "steps_per_s": "steps/s",
    "tokens_per_s": "tokens/s",
    "samples_per_s": "samples/s",
    "eval_tokens_per_s": "evaluated tokens/s",
    "eval_s": "s an evaluation",
}


def judge(record: Record, context: Context) -> Verdict:
    """FAIL a rate below its band or an evaluation longer than its; faster than the band passes.

    INFRA in place of FAIL where something disturbed the run. Evidence always holds what was measured,
    as `steps_per_s`, `tokens_per_s` and `eval_s`.
    """
    figures = throughput_figures(record)
    if "steps_per_s" not in figures:
        return verdict(
            "throughput",
            record,
            Outcome.SKIPPED,
            f"{len(steady_steps(record.steps))} timed steps after the {WARM_UP_STEPS} of warm-up; "
            f"a rate needs {MIN_STEADY_STEPS}",
            figures=figures,
        )
    used = model_flops_utilisation(record)
    judged = compare(
        "throughput",
        record,
        figures,
        context,
        shown=lambda name, value: f"{value:.4g} {_UNITS[name]}",
        diagnosis=("the release or a moved default costs time",),
        advice=(
            "run the cell again, alone on the machine",
            "if it stays slow, compare its executed path with the last release that passed",
        ),
    )
    if used is None:
        return judged
    return judged.model_copy(
        update={
            "message": f"{judged.message}; {used:.1%} of the card's dense 16-bit peak",
            "evidence": {**judged.evidence, "model_flops_utilisation": used},
        }
    )
