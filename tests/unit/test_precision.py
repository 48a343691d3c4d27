"""The precision policy: requests, rules and known deviations as data."""

import re
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ConfigError, SelectionError
from harness.precision import DEFAULT_POLICY, Request, When, load_policy, load_requests, request
from harness.precision_facts import Effective, Situation
from harness.profiles import Profile
from harness.record import Precision


def situation(**changes: object) -> Situation:
    fields = {
        "family": "unsloth",
        "release": "2026.10.9",
        "device": "gpu",
        "kind": "emulated",
        "bf16": True,
        "request": "auto",
    }
    return Situation(**{**fields, **changes})  # type: ignore[arg-type]


class TestRequests:
    def test_a_true_float32_leaves_nothing_to_a_default(self) -> None:
        assert request("float32") == Request(load="float32", bf16=False, fp16=False)

    def test_the_defaults_of_the_arguments_are_a_request_of_their_own(self) -> None:
        assert request("float32-default-args") == Request(load="float32")

    def test_every_request_of_the_interface_is_there(self) -> None:
        assert set(load_requests()) == {
            "auto",
            "float32",
            "float32-default-args",
            "bfloat16",
            "float16",
            "nf4",
        }

    def test_an_unknown_request_lists_the_known_ones(self) -> None:
        with pytest.raises(SelectionError, match=r"'fp8'; known: auto, float32"):
            request("fp8")


class TestEffective:
    @pytest.mark.parametrize(
        ("weights", "carrier", "beside"),
        [
            ({"bfloat16": 43, "float32": 37}, "bfloat16", {"float32"}),
            ({"uint8": 42, "bfloat16": 38}, "uint8", {"bfloat16"}),
            ({"uint8": 14, "float32": 14}, "uint8", {"float32"}),
            ({"float32": 80}, "float32", set()),
            ({"bfloat16": 1, "float32": 79}, "float32", {"bfloat16"}),
        ],
    )
    def test_the_linear_layers_outnumber_the_norms(
        self, weights: dict[str, int], carrier: str, beside: set[str]
    ) -> None:
        values = Effective.of(Precision(weights=weights)).values

        assert values["weights"] == {carrier}
        assert values["beside"] == beside

    @given(st.integers(3, 200), st.sampled_from(["bfloat16", "float16", "uint8"]))
    def test_upcast_norms_never_carry(self, layers: int, dtype: str) -> None:
        matrices, norms = 7 * layers, 6 * layers + 2

        values = Effective.of(Precision(weights={dtype: matrices, "float32": norms})).values

        assert values["weights"] == {dtype}

    def test_what_was_not_measured_is_absent(self) -> None:
        assert Effective.of(Precision()).values == {}


class TestWhen:
    @pytest.mark.parametrize(
        ("releases", "release", "expected"),
        [
            ("", "anything", True),
            (">=2026.10.9", "2026.10.9", True),
            (">=2026.10.9", "2026.10.8", False),
            (">=2025.3,<2025.6", "2025.3.14", True),
            (">=2026.10.9", "2026.11.1.dev0", True),
            (">=2026.10.9", "2026x", False),
        ],
    )
    def test_releases_are_pep_440(self, releases: str, release: str, expected: bool) -> None:
        assert When(releases=releases).matches(situation(release=release)) is expected

    @pytest.mark.parametrize(
        ("when", "expected"),
        [
            (When(), True),
            (When(family="unsloth", device="gpu", kind="emulated", bf16=True), True),
            (When(family="reference"), False),
            (When(device="cpu"), False),
            (When(kind="native"), False),
            (When(bf16=False), False),
            (When(requests=("auto", "nf4")), True),
            (When(requests=("nf4",)), False),
        ],
    )
    def test_what_is_left_out_matches_anything(self, when: When, expected: bool) -> None:
        assert when.matches(situation()) is expected


class TestPolicy:
    def test_every_known_deviation_breaks_a_rule_and_no_hard_one(self) -> None:
        policy = load_policy()

        for known in policy.known:
            when = known.when
            for asked in when.requests:
                _, first_or_last = re.findall(r"[<>]=|[\d.]+", when.releases)
                here = situation(
                    family=when.family,
                    release=first_or_last,
                    device=when.device,
                    bf16=when.bf16,
                    request=asked,
                )
                broken = policy.breaches(here, Effective(known.expect))
                assert known.when.matches(here)
                assert broken, f"{known.name} deviates from nothing"
                assert not any(breach.rule.hard for breach in broken), known.name

    def test_every_rule_can_be_broken_and_says_what_to_do(self) -> None:
        assert [rule.name for rule in load_policy().rules if not rule.advice] == []

    def test_rule_names_are_unique(self) -> None:
        names = [rule.name for rule in load_policy().rules]

        assert len(names) == len(set(names))

    def test_no_rule_lets_a_float16_autocast_pass(self) -> None:
        policy = load_policy()
        seen = Effective({"autocast": frozenset(["float16"])})

        for asked in policy.requests:
            for bf16 in (True, False):
                broken = policy.breaches(situation(request=asked, bf16=bf16), seen)
                assert any(breach.rule.hard for breach in broken)

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("schema = 1", "schema = 2", "schema"),
            ('load = "float32"', 'load = "float64"', "float64"),
            ('releases = ">=2026.10.9"', 'releases = "2026"', "PEP 440"),
            ('requests = ["nf4"]', 'requests = ["int8"]', "int8"),
            ("hard = true", 'hard = "very"', "very"),
            ('weights = "bfloat16"\n', "", "expect lacks weights"),
            ('link = "https', 'link = "ftp', "ftp"),
            ("activations =", "activation =", "activation"),
            ("[[rules]]", "[[rules", "not TOML"),
        ],
    )
    def test_a_bad_policy_names_the_offending_value(
        self, tmp_path: Path, old: str, new: str, message: str
    ) -> None:
        text = DEFAULT_POLICY.read_text(encoding="utf-8")
        assert old in text
        path = tmp_path / "precision.toml"
        path.write_text(text.replace(old, new), encoding="utf-8")

        with pytest.raises(ConfigError, match=message):
            load_policy(path)

    def test_a_missing_policy_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"none\.toml"):
            load_policy(tmp_path / "none.toml")


FIELDS: dict[str, list[Any]] = {
    "weights": ["float32", "bfloat16", "float16", "uint8"],
    "beside": ["float32", "bfloat16", "float16"],
    "lora": ["float32", "bfloat16", "float16"],
    "activations": ["float32", "bfloat16", "float16"],
    "logits": ["float32", "bfloat16", "float16", "not materialised"],
    "autocast": ["off", "bfloat16", "float16"],
    "args_bf16": [True, False],
    "args_fp16": [True, False],
    "force_float32": ["0", "1"],
}
STATES = st.fixed_dictionaries({name: st.sampled_from(FIELDS[name]) for name in FIELDS})
CAPABILITIES = st.tuples(st.integers(3, 13), st.integers(0, 9))
REQUESTS = st.sampled_from(sorted(load_requests()))
COMPUTES = ("lora", "activations", "autocast")


def card(capability: tuple[int, int], asked: str) -> Situation:
    """A card of any compute capability; what it can do is the harness's own answer."""
    slug = Profile(slug="x", names=("X",), compute_capability="{}.{}".format(*capability))
    return situation(bf16=slug.bf16, request=asked)


def effective(state: dict[str, Any]) -> Effective:
    return Effective({field: frozenset([value]) for field, value in state.items()})  # type: ignore[misc]


@cache
def allowed(here: Situation) -> frozenset[tuple[Any, ...]]:
    """Every state that the policy allows there, with norms in float32 and a fused loss."""
    policy = load_policy()
    fields = {**FIELDS, "beside": ["float32"], "logits": ["not materialised"]}
    return frozenset(
        values
        for values in product(*fields.values())
        if not policy.breaches(here, effective(dict(zip(fields, values, strict=True))))
    )


class TestLaws:
    """Compute capability x requested dtype x everything that a library may make of it."""

    @given(CAPABILITIES, REQUESTS, STATES)
    def test_bfloat16_below_capability_8_breaks_a_hard_rule(
        self, capability: tuple[int, int], asked: str, state: dict[str, Any]
    ) -> None:
        uses = state["args_bf16"] or "bfloat16" in {state[field] for field in COMPUTES}
        broken = load_policy().breaches(card(capability, asked), effective(state))

        if uses and capability < (8, 0):
            assert any(breach.rule.hard for breach in broken)

    @given(CAPABILITIES, REQUESTS, STATES)
    def test_float16_arithmetic_breaks_a_hard_rule_on_any_card(
        self, capability: tuple[int, int], asked: str, state: dict[str, Any]
    ) -> None:
        uses = state["args_fp16"] or "float16" in {state[field] for field in COMPUTES}
        broken = load_policy().breaches(card(capability, asked), effective(state))

        if uses:
            assert any(breach.rule.hard for breach in broken)

    @given(CAPABILITIES, CAPABILITIES, REQUESTS)
    def test_more_capability_never_forbids_a_bfloat16_state(
        self, one: tuple[int, int], other: tuple[int, int], asked: str
    ) -> None:
        less, more = sorted((one, other))
        in_bfloat16 = {state for state in allowed(card(less, asked)) if "bfloat16" in state}

        assert in_bfloat16 <= allowed(card(more, asked))

    @given(CAPABILITIES, REQUESTS)
    def test_a_request_can_be_met_unless_the_card_lacks_it(
        self, capability: tuple[int, int], asked: str
    ) -> None:
        met = bool(allowed(card(capability, asked)))

        assert met == (asked != "bfloat16" or capability >= (8, 0))
