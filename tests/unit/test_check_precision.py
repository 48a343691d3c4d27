"""Each row that a release was seen to produce, and the laws that no row may break."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checks import Context
from harness.checks.precision import judge
from harness.precision import load_policy
from harness.profiles import load_profiles
from harness.record import Record
from harness.verdict import Outcome, Verdict
from tests.unit.records import LAYERS, make_record

FLOAT_DTYPES = ("float32", "bfloat16", "float16")
RANGE = "gemma3-float16-range"


def record(
    request: str,
    hardware: str = "cpu",
    *,
    bf16: bool = True,
    weights: dict[str, int] | None = None,
    lora: str = "float32",
    activations: str = "float32",
    autocast: str | None = "off",
    args: tuple[bool | None, bool | None] = (False, False),
    force_float32: str | None = None,
    release: str = "2026.10.9",
    family: str = "unsloth",
    **precision: Any,
) -> Record:
    """Return a record whose `args` are the effective (bf16, fp16)."""
    emulated = hardware != "cpu"
    card = load_profiles()[hardware]
    return make_record(
        dtype_request=request,
        stack={"family": family, "release": release},
        hardware={
            "name": f"{hardware}-emulated" if emulated else hardware,
            "kind": "emulated" if emulated else "native",
            "compute_capability": card.compute_capability,
            "bf16": card.bf16 if emulated else bf16,
        },
        precision={
            "weights": {"float32": 80} if weights is None else weights,
            "lora": {lora: 84},
            "activations": {activations: LAYERS},
            "logits": "not materialised",
            "autocast": autocast,
            "args_bf16": args[0],
            "args_fp16": args[1],
            "force_float32": force_float32,
            **precision,
        },
    )


def check(subject: Record) -> Verdict:
    return judge(subject, Context())


BF16, F16 = {"bfloat16": 80}, {"float16": 80}
BF16_NORMS_UP, F16_NORMS_UP = {"bfloat16": 43, "float32": 37}, {"float16": 43, "float32": 37}
T4: dict[str, Any] = {"hardware": "t4", "weights": F16_NORMS_UP, "force_float32": "1"}
IN_BF16: dict[str, Any] = {"autocast": "bfloat16", "args": (True, False)}
A100: dict[str, Any] = {
    "hardware": "a100",
    "weights": BF16_NORMS_UP,
    "activations": "bfloat16",
    "force_float32": "0",
    **IN_BF16,
}


KEPT = {
    "A100 auto": record("auto", **A100),
    "A100 bfloat16": record("bfloat16", **A100),
    "A100 auto, 80 bf16": record("auto", **{**A100, "weights": BF16}),
    "T4 auto": record("auto", **T4),
    "T4 auto, 80 fp16": record("auto", **{**T4, "weights": F16}),
    "T4 float16": record("float16", **T4),
    "A100 float16": record("float16", **{**T4, "hardware": "a100"}),
    "CPU float32": record("float32"),
    "CPU auto": record("auto", weights=BF16, activations="bfloat16", **IN_BF16),
    "CPU without bf16, auto": record("auto", bf16=False),
    "CPU without bf16, float16": record("float16", bf16=False),
    "float32, args default": record("float32-default-args", bf16=False),
    "CPU nf4": record(
        "nf4",
        weights={"uint8": 42, "bfloat16": 38},
        lora="bfloat16",
        activations="bfloat16",
        **IN_BF16,
    ),
}


class TestKept:
    @pytest.mark.parametrize("name", KEPT)
    def test_passes(self, name: str) -> None:
        verdict = check(KEPT[name])

        assert verdict.outcome is Outcome.PASS, verdict.message
        assert "documented" not in verdict.message

    def test_the_message_says_requested_and_effective(self) -> None:
        message = check(record("auto", **A100)).message

        assert "auto on a100-emulated (with bf16) -> weights 43 bfloat16 + 37 float32" in message
        assert "max |activation|" in message

    def test_emulated_bfloat16_by_name_is_a_warning_on_the_reference(self) -> None:
        subject = record(
            "bfloat16",
            family="reference",
            bf16=False,
            weights=BF16,
            activations="bfloat16",
            **IN_BF16,
        )

        verdict = check(subject)

        assert verdict.outcome is Outcome.PASS
        assert "WARN: torch emulates bfloat16" in verdict.message


class TestBroken:
    @pytest.mark.parametrize(
        ("subject", "rule"),
        [
            pytest.param(
                record(
                    "auto",
                    "t4",
                    weights={"float16": 38, "uint8": 42},
                    autocast="float16",
                    args=(False, True),
                    force_float32="0",
                    release="2025.3.14",
                ),
                RANGE,
                id="U#2032: T4 under float16 autocast",
            ),
            pytest.param(
                record("auto", **{**T4, "activations": "float16"}), RANGE, id="U#2040: activations"
            ),
            pytest.param(record("auto", **{**T4, "lora": "float16"}), RANGE, id="float16 adapter"),
            pytest.param(
                record("float16", bf16=False, autocast="float16", args=(False, True)),
                RANGE,
                id="CPU with UNSLOTH_CPU_FP16=1",
            ),
            pytest.param(
                record("auto", **{**A100, "hardware": "t4", "force_float32": "1"}),
                "bf16-needs-capability-8.0",
                id="U#2783: bf16 on a T4",
            ),
            pytest.param(
                record("auto", **{**T4, "args": (True, False)}),
                "bf16-needs-capability-8.0",
                id="bf16 argument alone on a T4",
            ),
            pytest.param(
                record("auto", **{**T4, "force_float32": "0"}), "force-float32", id="not forced"
            ),
            pytest.param(
                record("float32", "a100", force_float32="0", **IN_BF16),
                "float32-means-float32",
                id="float32 under bf16 autocast on an A100",
            ),
            pytest.param(
                record("float32", **T4), "float32-means-float32", id="float32 on a T4 in float16"
            ),
            pytest.param(
                record("float32", **IN_BF16), "float32-means-float32", id="CPU float32 autocast"
            ),
            pytest.param(
                record("bfloat16", "a100", force_float32="0"),
                "bfloat16-means-bfloat16",
                id="bfloat16 became float32",
            ),
            pytest.param(record("float16", **A100), "float16-kept-safe", id="float16 became bf16"),
            pytest.param(record("nf4", **A100), "nf4-quantises", id="nf4 not quantised"),
            pytest.param(
                record("auto", **{**A100, "weights": {"bfloat16": 38, "uint8": 42}}),
                "no-unasked-quantisation",
                id="QLoRA by itself",
            ),
            pytest.param(record("auto"), "auto-uses-bf16", id="auto in float32 with bf16 at hand"),
            pytest.param(
                record("nf4", weights={"uint8": 42, "float32": 38}),
                "nf4-computes-in-bf16",
                id="nf4 in float32 with bf16 at hand",
            ),
            pytest.param(
                record("auto", bf16=False, weights=BF16, activations="bfloat16"),
                "bf16-needs-native-cpu",
                id="bf16 on a CPU without it",
            ),
            pytest.param(
                record("auto", **{**A100, "weights": {"float8_e4m3fn": 80}}), "dtypes", id="float8"
            ),
        ],
    )
    def test_fails_by_the_rule(self, subject: Record, rule: str) -> None:
        verdict = check(subject)

        assert verdict.outcome is Outcome.FAIL
        assert rule in verdict.evidence["broken_rules"], verdict.message
        assert rule in verdict.message
        assert verdict.diagnosis
        assert verdict.advice

    def test_advice_names_cards_with_bf16_and_no_others(self) -> None:
        advice = " ".join(check(record("auto", **{**T4, "autocast": "float16"})).advice)

        assert "a100" in advice
        assert "t4" not in advice

    def test_an_overflow_is_named_with_its_layer(self) -> None:
        subject = record(
            "auto",
            **{**T4, "autocast": "float16"},
            max_abs_activation={"layers.0": 100.0, "layers.1": math.inf},
        )

        assert "layers.1" in check(subject).diagnosis[0]


DEVIATIONS = {
    "cpu-float32-default-args": record("float32-default-args", **IN_BF16),
    "cpu-float16-becomes-bfloat16": record(
        "float16", weights=BF16, activations="bfloat16", **IN_BF16
    ),
    "cpu-bfloat16-without-autocast": record(
        "bfloat16", bf16=False, weights=BF16, activations="bfloat16"
    ),
    "cpu-nf4-bfloat16-adapter": record(
        "nf4", bf16=False, weights={"uint8": 42, "float32": 38}, lora="bfloat16"
    ),
    "lora-becomes-qlora": record(
        "auto",
        "a100",
        release="2025.3.14",
        weights={"uint8": 42, "bfloat16": 38},
        activations="bfloat16",
        force_float32="0",
        **IN_BF16,
    ),
}


class TestKnownDeviations:
    def test_each_has_a_case_here(self) -> None:
        assert set(DEVIATIONS) == {known.name for known in load_policy().known}

    @pytest.mark.parametrize("name", DEVIATIONS)
    def test_passes_and_says_that_it_deviates(self, name: str) -> None:
        verdict = check(DEVIATIONS[name])

        assert verdict.outcome is Outcome.PASS
        assert f"a documented deviation ({name})" in verdict.message
        assert verdict.evidence["known_deviation"] == name

    @pytest.mark.parametrize("name", DEVIATIONS)
    def test_another_release_is_not_excused(self, name: str) -> None:
        other = DEVIATIONS[name].model_copy(deep=True)
        other.stack.release = "2026.10.8"

        assert check(other).outcome is Outcome.FAIL

    @pytest.mark.parametrize("name", DEVIATIONS)
    def test_the_reference_is_not_excused(self, name: str) -> None:
        plain = DEVIATIONS[name].model_copy(deep=True)
        plain.stack.family = "reference"

        assert check(plain).outcome is Outcome.FAIL

    @pytest.mark.parametrize(
        "subject",
        [
            record("float32-default-args"),
            record("float16"),
            record("nf4", bf16=False, weights={"uint8": 42, "float32": 38}),
        ],
    )
    def test_a_promise_kept_again_asks_for_the_entry_to_go(self, subject: Record) -> None:
        verdict = check(subject)

        assert verdict.outcome is Outcome.FAIL
        assert "the documented deviation is gone" in verdict.message
        assert "remove the entry" in verdict.advice[0]

    def test_another_deviation_than_the_documented_one_fails(self) -> None:
        verdict = check(record("float16", weights=BF16, activations="bfloat16"))

        assert verdict.outcome is Outcome.FAIL
        assert "cpu-float16-becomes-bfloat16 either" in verdict.message

    def test_a_hard_rule_is_never_excused(self) -> None:
        verdict = check(record("float32-default-args", autocast="float16", args=(False, True)))

        assert verdict.outcome is Outcome.FAIL
        assert RANGE in verdict.evidence["broken_rules"]

    def test_missing_evidence_is_no_deviation(self) -> None:
        subject = DEVIATIONS["cpu-nf4-bfloat16-adapter"].model_copy(deep=True)
        subject.precision.lora = {}

        assert check(subject).outcome is Outcome.SKIPPED


class TestEvidence:
    @pytest.mark.parametrize(
        ("field", "missing"),
        [
            ("weights", {}),
            ("lora", {}),
            ("activations", {}),
            ("autocast", None),
            ("args_bf16", None),
            ("args_fp16", None),
            ("force_float32", None),
        ],
    )
    def test_a_needed_field_that_is_missing_is_no_answer(self, field: str, missing: object) -> None:
        subject = record("auto", **T4)
        setattr(subject.precision, field, missing)

        verdict = check(subject)

        assert verdict.outcome is Outcome.SKIPPED
        assert field in verdict.message

    def test_a_breach_is_red_even_beside_missing_fields(self) -> None:
        subject = record("auto", **{**T4, "autocast": "float16"})
        subject.precision.weights = {}

        assert check(subject).outcome is Outcome.FAIL

    def test_an_unknown_request_is_no_answer(self) -> None:
        assert check(record("int8")).outcome is Outcome.SKIPPED

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"args": (True, True)}, "both True"),
            ({"args": (False, True), "autocast": "bfloat16"}, "under bfloat16 autocast"),
            ({"args": (True, False), "autocast": "float16"}, "under float16 autocast"),
            ({"weights": {"float32": 0}}, "0 tensors"),
            (
                {"activations": "float16", "max_abs_activation": {"layers.0": 8e5}},
                "every activation is float16",
            ),
        ],
    )
    def test_contradictions_are_red(self, changes: dict[str, Any], words: str) -> None:
        verdict = check(record("float32", **changes))

        assert verdict.outcome is Outcome.FAIL
        assert words in verdict.message

    @pytest.mark.parametrize(
        ("capability", "bf16"), [("7.5", True), ("8.0", False), ("seven", False)]
    )
    def test_hardware_that_cannot_be_is_red(self, capability: str, bf16: bool) -> None:
        subject = record("auto", **T4)
        subject.hardware.compute_capability = capability
        subject.hardware.bf16 = bf16

        verdict = check(subject)

        assert verdict.outcome is Outcome.FAIL
        assert "contradicts" in verdict.message


BASES = [*KEPT.values(), *DEVIATIONS.values()]
PRECISION_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    **{
        field: st.dictionaries(
            st.sampled_from([*FLOAT_DTYPES, "uint8", "int8"]), st.integers(1, 80), max_size=3
        )
        for field in ("weights", "lora", "activations")
    },
    "autocast": st.sampled_from(["off", *FLOAT_DTYPES, None]),
    "args_bf16": st.sampled_from([True, False, None]),
    "args_fp16": st.sampled_from([True, False, None]),
    "force_float32": st.sampled_from([None, "0", "1"]),
    "logits": st.sampled_from([None, "not materialised", *FLOAT_DTYPES]),
}


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Draw a record that passes, with up to two things changed: close to where laws could break."""
    base, other = draw(st.sampled_from(BASES)), draw(st.sampled_from(BASES))
    changed = draw(st.lists(st.sampled_from(list(PRECISION_FIELDS)), max_size=2))
    swapped = draw(st.sets(st.sampled_from(["dtype_request", "hardware", "stack"]), max_size=2))
    precision = {field: draw(PRECISION_FIELDS[field]) for field in changed}
    return base.model_copy(
        update={
            "precision": base.precision.model_copy(update=precision),
            **{field: getattr(other, field) for field in swapped},
        }
    )


def bf16_anywhere(subject: Record) -> bool:
    precision = subject.precision
    return (
        any("bfloat16" in c for c in (precision.weights, precision.lora, precision.activations))
        or precision.autocast == "bfloat16"
        or precision.args_bf16 is True
        or precision.logits == "bfloat16"
    )


def passes(subject: Record) -> bool:
    return check(subject).outcome is Outcome.PASS


class TestLaws:
    def test_the_strategy_starts_from_records_that_pass(self) -> None:
        assert [base.dtype_request for base in BASES if not passes(base)] == []

    @given(records())
    def test_bf16_below_capability_8_never_passes(self, subject: Record) -> None:
        capability = subject.hardware.compute_capability
        if capability == "7.5" and bf16_anywhere(subject):
            assert not passes(subject)

    @given(records())
    def test_float16_autocast_or_activations_never_pass(self, subject: Record) -> None:
        precision = subject.precision
        if precision.autocast == "float16" or "float16" in precision.activations:
            assert not passes(subject)

    @given(records())
    def test_a_pass_for_float32_is_float32_without_autocast(self, subject: Record) -> None:
        if subject.dtype_request == "float32" and passes(subject):
            assert set(subject.precision.weights) == {"float32"}
            assert set(subject.precision.lora) == {"float32"}
            assert set(subject.precision.activations) == {"float32"}
            assert subject.precision.autocast == "off"

    @given(records())
    def test_a_pass_rests_on_evidence(self, subject: Record) -> None:
        precision = subject.precision
        if passes(subject):
            assert precision.weights
            assert precision.lora
            assert precision.activations
            assert None not in (precision.autocast, precision.args_bf16, precision.args_fp16)
            assert subject.dtype_request in load_policy().requests

    @given(records(), st.sampled_from(["weights", "lora", "activations", "autocast", "args_bf16"]))
    def test_taking_evidence_away_never_makes_a_pass(self, subject: Record, field: str) -> None:
        nothing: object = {} if field in ("weights", "lora", "activations") else None
        less = subject.model_copy(
            update={"precision": subject.precision.model_copy(update={field: nothing})}
        )

        assert not passes(less)

    @given(records())
    def test_a_pass_for_nf4_has_4_bit_weights_and_others_have_none(self, subject: Record) -> None:
        if passes(subject):
            quantised = "uint8" in subject.precision.weights
            excused = check(subject).evidence.get("known_deviation") == "lora-becomes-qlora"
            assert quantised == (subject.dtype_request == "nf4" or excused)

    @given(records())
    def test_red_says_why_and_what_to_do(self, subject: Record) -> None:
        verdict = check(subject)

        if verdict.outcome is Outcome.FAIL:
            assert verdict.diagnosis
            assert verdict.advice
            assert "{" not in " ".join(verdict.advice)
