"""The precision that trained is the one that was asked for, and one that the hardware can do.

Exists for U#2032 and U#2040 (Gemma-3 under float16 on a T4), U#2783 (bf16 on a card without it),
U#3956 and U#7867 (float32 under autocast). Rules and known deviations: fixtures/precision.toml.
"""

import math
from collections.abc import Sequence

from harness.checks import Context, verdict
from harness.checks._float16 import first_layer_beyond_float16, float16_uses
from harness.precision import Breach, Known, Policy, load_policy
from harness.precision_facts import Effective, Situation, contradictions, max_abs_activation
from harness.profiles import load_profiles
from harness.record import Precision, Record
from harness.verdict import Outcome, Verdict

_NAME = "precision"


def judge(record: Record, context: Context) -> Verdict:
    """PASS when every rule holds, or when a release does exactly what is documented of it."""
    policy, situation = load_policy(), Situation.of(record)
    if situation.request not in policy.requests:
        reason = f"no policy for the dtype request {situation.request!r}"
        return _verdict(record, Outcome.SKIPPED, reason)
    if problems := list(contradictions(record)):
        return _verdict(
            record,
            Outcome.FAIL,
            f"the evidence contradicts itself: {'; '.join(problems)}",
            diagnosis=("the record cannot be right: hooks or hardware detection are broken",),
            advice=("run the cell again; if it repeats, report it against the harness",),
        )
    effective = Effective.of(record.precision)
    breaches = policy.breaches(situation, effective)
    known = policy.deviations(situation)
    if known and not any(breach.rule.hard for breach in breaches):
        return _judge_known(record, effective, breaches, known)
    if breaches:
        return _broken(record, breaches)
    if missing := policy.unmeasured(situation, effective):
        return _not_measured(record, missing)
    return _kept(record, policy, situation)


def _kept(record: Record, policy: Policy, situation: Situation) -> Verdict:
    parts = [_story(record), *policy.notes(situation)]
    largest = max_abs_activation(record.precision)
    if not math.isnan(largest):
        parts.append(f"max |activation| {largest:.4g} (float16 ends at 65504)")
    return _verdict(record, Outcome.PASS, "; ".join(parts))


def _judge_known(
    record: Record, effective: Effective, breaches: list[Breach], known: list[Known]
) -> Verdict:
    missing = sorted({f for k in known for f in k.expect if f not in effective.values})
    if missing:
        return _broken(record, breaches) if breaches else _not_measured(record, missing)
    for deviation in known:
        if all(effective.values[f] == wanted for f, wanted in deviation.expect.items()):
            return _verdict(
                record,
                Outcome.PASS,
                f"{_story(record)}: a documented deviation ({deviation.name}): "
                f"{deviation.reason} ({deviation.link})",
                known_deviation=deviation.name,
            )
    names = ", ".join(deviation.name for deviation in known)
    if breaches:
        return _broken(record, breaches, f", and is not the documented deviation {names} either")
    return _verdict(
        record,
        Outcome.FAIL,
        f"{_story(record)}: the documented deviation is gone: {names}",
        diagnosis=("this release keeps the promise again",),
        advice=(f"remove the entry {names} from precision.toml, or end its `releases` there",),
        known_deviation=names,
    )


def _broken(record: Record, breaches: list[Breach], tail: str = "") -> Verdict:
    rules = {breach.rule.name: breach.rule for breach in breaches}
    cards = ", ".join(p.slug for p in load_profiles().values() if p.bf16)
    return _verdict(
        record,
        Outcome.FAIL,
        f"{_story(record)}: {'; '.join(map(str, breaches))}{tail}",
        diagnosis=(*_overflow(record), *(rule.why for rule in rules.values())),
        advice=tuple(
            dict.fromkeys(
                advice.format(bf16_cards=cards) for r in rules.values() for advice in r.advice
            )
        ),
        broken_rules=list(rules),
    )


def _overflow(record: Record) -> tuple[str, ...]:
    layer, uses = first_layer_beyond_float16(record), float16_uses(record)
    if layer is None or not uses:
        return ()
    where = " and ".join(uses)
    return (f"{where} use float16, which ends at 65504: {layer[1]:.4g} in {layer[0]}",)


def _not_measured(record: Record, missing: Sequence[str]) -> Verdict:
    return _verdict(record, Outcome.SKIPPED, f"not measured: {', '.join(missing)}")


def _story(record: Record) -> str:
    hardware = record.hardware
    has = "with bf16" if hardware.bf16 else "no bf16"
    return f"{record.dtype_request} on {hardware.name} ({has}) -> {_words(record.precision)}"


def _words(precision: Precision) -> str:
    return (
        f"weights {_counts(precision.weights)}, LoRA {_counts(precision.lora)}, "
        f"activations {_counts(precision.activations)}, autocast {precision.autocast}, "
        f"args bf16={precision.args_bf16} fp16={precision.args_fp16}"
    )


def _counts(counts: dict[str, int]) -> str:
    ranked = sorted(counts, key=lambda dtype: (-counts[dtype], dtype))
    return " + ".join(f"{counts[dtype]} {dtype}" for dtype in ranked) or "not measured"


def _verdict(
    record: Record,
    outcome: Outcome,
    message: str,
    diagnosis: tuple[str, ...] = (),
    advice: tuple[str, ...] = (),
    **evidence: object,
) -> Verdict:
    return verdict(
        _NAME,
        record,
        outcome,
        message,
        diagnosis=diagnosis,
        advice=advice,
        requested=record.dtype_request,
        effective=record.precision.model_dump(mode="json"),
        **evidence,
    )
