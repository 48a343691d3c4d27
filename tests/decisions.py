"""The expected decisions of fixtures/decisions.toml."""

import tomllib
from typing import Literal

from packaging.specifiers import SpecifierSet
from pydantic import BaseModel, ConfigDict, model_validator
from pydantic import Field as Checked

from harness.locations import FIXTURES
from harness.precision_facts import Effective, Field, Situation, Value
from harness.profiles import EMULATED, profile

PATH = FIXTURES / "decisions.toml"


class Seen(BaseModel):
    """What training used: the fields of `Effective`, as the record's hooks saw them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: str
    beside: frozenset[Value]
    lora: frozenset[Value]
    activations: frozenset[Value]
    autocast: str
    args_bf16: bool
    args_fp16: bool
    force_float32: str | None = None
    """None where the release does not set the variable."""

    @property
    def effective(self) -> Effective:
        """The same in the policy's terms."""
        values: dict[Field, frozenset[Value]] = {
            "weights": frozenset([self.weights]),
            "beside": self.beside,
            "lora": self.lora,
            "activations": self.activations,
            "autocast": frozenset([self.autocast]),
            "args_bf16": frozenset([self.args_bf16]),
            "args_fp16": frozenset([self.args_fp16]),
        }
        if self.force_float32 is not None:
            values["force_float32"] = frozenset([self.force_float32])
        return Effective(values)


class Decision(BaseModel):
    """What releases decide for one dtype request on cards with or without bfloat16.

    Attributes:
        releases: PEP 440 specifier; every measured release in it did the same.
        cells: The cells that were measured.
        stops: What the library says instead of training.
        broken: Rules of the policy that the decision breaks, and `reason` says why.
        known: The known deviation of the policy that excuses it; without one it is red.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    releases: str
    bf16: bool
    request: str
    cells: tuple[str, ...] = Checked(min_length=1)
    seen: Seen | None = None
    stops: str | None = None
    policy: Literal["PASS", "FAIL"] | None = None
    broken: frozenset[str] = frozenset()
    known: str | None = None
    reason: str = ""

    @model_validator(mode="after")
    def _trains_or_stops(self) -> "Decision":
        if (self.seen is None) == (self.stops is None):
            raise ValueError("a decision has either `seen` or `stops`")
        if (self.policy is None) != (self.seen is None):
            raise ValueError("`policy` judges what was seen")
        if (self.policy == "FAIL" or self.known is not None) != bool(self.broken and self.reason):
            raise ValueError("a FAIL or a known deviation names the broken rules and a reason")
        return self

    def situation(self, cell: str) -> Situation:
        """Return the situation of one of the cells.

        Raises:
            ValueError: The cell is not what this decision is about.
        """
        stack, hardware, request, _ = cell.split("/")
        release = stack.removeprefix("unsloth-")
        card = profile(hardware.removesuffix(EMULATED))
        if (card.bf16, request) != (self.bf16, self.request):
            raise ValueError(f"{cell} is not {self.request} with bf16 = {self.bf16}")
        if release not in SpecifierSet(self.releases):
            raise ValueError(f"{cell} is not of {self.releases}")
        return Situation("unsloth", release, "gpu", "emulated", self.bf16, self.request)


def load_decisions() -> list[Decision]:
    """Read the decisions, in file order."""
    data = tomllib.loads(PATH.read_text(encoding="utf-8"))
    assert data["schema"] == 1
    return [Decision.model_validate(entry) for entry in data["decisions"]]
