"""The precision policy: what a dtype request asks for, and what may come of it where.

The policy is data (fixtures/precision.toml): requests, rules that must hold, and known deviations.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from harness.errors import SelectionError
from harness.locations import FIXTURES
from harness.precision_facts import Device, Effective, Situation, Value
from harness.precision_facts import Field as FieldName
from harness.toml_file import read_model

DEFAULT_POLICY = FIXTURES / "precision.toml"

Load = Literal["auto", "float32", "bfloat16", "float16"]
_ANY = SpecifierSet("")


def _many(value: Any) -> Any:
    return [value] if isinstance(value, str | bool) else value


Values = Annotated[frozenset[Value], BeforeValidator(_many)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Request(_Table):
    """What one dtype request asks of the library.

    Attributes:
        load: dtype given to the loader; `auto` leaves the argument out.
        bf16: Training argument; None leaves it to the library's default. `fp16` likewise.
        load_in_4bit: Whether the linear layers are quantised to NF4.
    """

    load: Load
    bf16: bool | None = None
    fp16: bool | None = None
    load_in_4bit: bool = False


class When(_Table):
    """Which situations a rule or a deviation is about; what is left out matches anything.

    Attributes:
        releases: PEP 440 specifier on the family's release, such as `>=2025.3,<2025.6`.
    """

    family: Literal["unsloth", "reference"] | None = None
    releases: str = ""
    device: Device | None = None
    kind: Literal["native", "emulated"] | None = None
    bf16: bool | None = None
    requests: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _releases_are_pep440(self) -> "When":
        try:
            SpecifierSet(self.releases)
        except InvalidSpecifier as error:
            raise ValueError(f"releases = {self.releases!r} is not a PEP 440 specifier") from error
        return self

    def matches(self, situation: Situation) -> bool:
        """Whether the situation is one of these."""
        fixed = (
            (self.family, situation.family),
            (self.device, situation.device),
            (self.kind, situation.kind),
            (self.bf16, situation.bf16),
        )
        return (
            all(wanted is None or wanted == actual for wanted, actual in fixed)
            and (not self.requests or situation.request in self.requests)
            and self._has_release(situation.release)
        )

    def _has_release(self, release: str) -> bool:
        specifier = SpecifierSet(self.releases)
        if specifier == _ANY:
            return True
        try:
            return specifier.contains(Version(release), prereleases=True)
        except InvalidVersion:
            return False


class Rule(_Table):
    """What must hold of the effective precision wherever `when` matches and `unless` does not.

    Attributes:
        allow: Per field the values that may be seen; other fields are free.
        hard: No known deviation excuses a breach.
        unless_note: Said beside a PASS that the exception made possible.
    """

    name: str
    why: str
    advice: tuple[str, ...] = ()
    hard: bool = False
    when: When = When()
    unless: When | None = None
    unless_note: str = ""
    allow: dict[FieldName, Values] = Field(min_length=1)

    def applies(self, situation: Situation) -> bool:
        """Whether the rule binds here."""
        return self.when.matches(situation) and not self.excepts(situation)

    def excepts(self, situation: Situation) -> bool:
        """Whether the rule would bind here, were it not for its exception."""
        excepted = self.unless is not None and self.unless.matches(situation)
        return excepted and self.when.matches(situation)


class Known(_Table):
    """A promise that some releases break, with exactly what they do instead."""

    name: str
    when: When
    expect: dict[FieldName, Values]
    reason: str = Field(min_length=1)
    link: str = Field(pattern=r"^https://")

    @model_validator(mode="after")
    def _expects_the_whole(self) -> "Known":
        needed = {"weights", "beside", "lora", "activations", "autocast", "args_bf16", "args_fp16"}
        if missing := sorted(needed - set(self.expect)):
            raise ValueError(f"{self.name}: expect lacks {', '.join(missing)}")
        return self


@dataclass(frozen=True)
class Breach:
    """One field of the effective precision that one rule does not allow."""

    rule: Rule
    field: FieldName
    found: frozenset[Value]

    def __str__(self) -> str:
        allowed = ", ".join(sorted(map(str, self.rule.allow[self.field]))) or "nothing"
        found = ", ".join(sorted(map(str, self.found - self.rule.allow[self.field])))
        return f"{self.field} is {found}, {self.rule.name} allows {allowed}"


class Policy(_Table):
    """Requests, rules and known deviations."""

    version: Literal[1] = Field(alias="schema")
    requests: dict[str, Request] = Field(min_length=1)
    rules: tuple[Rule, ...] = Field(min_length=1)
    known: tuple[Known, ...] = ()

    @model_validator(mode="after")
    def _names_are_known(self) -> "Policy":
        selectors = [(rule.name, rule.when) for rule in self.rules]
        selectors += [(rule.name, rule.unless) for rule in self.rules if rule.unless]
        selectors += [(known.name, known.when) for known in self.known]
        for name, when in selectors:
            if unknown := sorted(set(when.requests) - set(self.requests)):
                raise ValueError(f"{name}: unknown request {unknown[0]!r}")
        return self

    def applying(self, situation: Situation) -> list[Rule]:
        """Return the rules that bind here, in file order."""
        return [rule for rule in self.rules if rule.applies(situation)]

    def breaches(self, situation: Situation, effective: Effective) -> list[Breach]:
        """Return every field that a rule forbids; fields that were not measured breach nothing."""
        return [
            Breach(rule, field, effective.values[field])
            for rule in self.applying(situation)
            for field, allowed in rule.allow.items()
            if field in effective.values and not effective.values[field] <= allowed
        ]

    def unmeasured(self, situation: Situation, effective: Effective) -> list[FieldName]:
        """Return the fields that a rule here speaks of and the record does not."""
        spoken_of = [field for rule in self.applying(situation) for field in rule.allow]
        return list(dict.fromkeys(f for f in spoken_of if f not in effective.values))

    def deviations(self, situation: Situation) -> list[Known]:
        """Return the known deviations for this situation."""
        return [known for known in self.known if known.when.matches(situation)]

    def notes(self, situation: Situation) -> list[str]:
        """Return what to say beside a PASS because an exception was used."""
        return [r.unless_note for r in self.rules if r.excepts(situation) and r.unless_note]


@cache
def load_policy(path: Path = DEFAULT_POLICY) -> Policy:
    """Read the policy.

    Raises:
        ConfigError: Not TOML, an unknown key or a bad value; the message names it.
    """
    return read_model(path, Policy, "the precision policy")


def load_requests(path: Path = DEFAULT_POLICY) -> dict[str, Request]:
    """Return the dtype requests by name, in file order.

    Raises:
        ConfigError: As `load_policy`.
    """
    return dict(load_policy(path).requests)


def request(name: str) -> Request:
    """Return what a dtype request asks of the library.

    Raises:
        SelectionError: Unknown; the message lists the known ones.
    """
    requests = load_requests()
    if name not in requests:
        raise SelectionError(
            f"unknown dtype request {name!r}; known: {', '.join(requests)}. "
            f"Add [requests.{name}] to {DEFAULT_POLICY.name}, or choose one of these."
        )
    return requests[name]
