"""The recipe: what is fine-tuned, on what, and how. Nothing about releases or hardware."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.errors import ConfigError, first_problem


class Lora(BaseModel):
    """LoRA as in unslothai/unsloth#2032: r 8, alpha 16, attention and MLP of the language layers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    r: int = Field(8, ge=1)
    alpha: int = Field(16, ge=1)
    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    target_modules: tuple[str, ...] = (
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    )


class Recipe(BaseModel):
    """One fine-tune. Lengths are tokens, sizes are rows unless said otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    model: str = "fixture:mild"
    """`fixture:NAME` for a tiny Gemma-3 built from a seed, or a path to a checkpoint."""
    data: str = "fixture:latin-italian"
    """`fixture:latin-italian`, or a path to a .tsv or .jsonl file of translation pairs."""
    instruction: str = "Translate from Latin to Italian: "
    train_prefix: str = ""
    """Put before each phrase of the training rows: what the evaluation never sees."""
    train_rows: int | None = Field(40, ge=1)
    """None takes every row outside the evaluation split."""
    eval_rows: int = Field(16, ge=1)
    pairs_per_row: int = Field(1, ge=1)
    """Phrases joined into one row: long sequences from a corpus of short ones, which then repeats."""
    generate_rows: int = Field(4, ge=0)
    max_new_tokens: int = Field(24, ge=1)
    batch_size: int = Field(4, ge=1)
    eval_batch_size: int = Field(4, ge=1)
    gradient_accumulation: int = Field(1, ge=1)
    epochs: int = Field(3, ge=3)
    learning_rate: float = Field(1e-3, ge=0.0)
    warmup_steps: int = Field(2, ge=0)
    lr_scheduler: str = "linear"
    weight_decay: float = Field(0.0, ge=0.0)
    optimizer: str = "adamw_torch"
    max_grad_norm: float = Field(1.0, ge=0.0)
    max_seq_length: int = Field(128, ge=8)
    packing: bool = False
    """Whether rows are joined into sequences of `max_seq_length` (TRL's; the reference has none)."""
    pad_to_multiple_of: int | None = Field(None, ge=1)
    gradient_checkpointing: bool = False
    attention: Literal["eager", "sdpa"] = "eager"
    responses_only: bool = False
    """Whether prompt tokens are masked out of the loss (`train_on_responses_only`)."""
    seed: int = 3407
    lora: Lora = Lora()
    min_eval_loss_drop: float = Field(0.05, gt=0.0, lt=1.0)
    """Share of the initial eval_loss that training must take off by the last epoch."""

    @property
    def digest(self) -> str:
        """Twelve hex digits over every field but the name."""
        return digest(self.model_dump(mode="json", exclude={"name"}))

    def scaled(self, overrides: dict[str, Any]) -> "Recipe":
        """Return the recipe with the fields of a scale put in, validated.

        Raises:
            ConfigError: An unknown field or a value out of range.
        """
        return parse_recipe({**self.model_dump(mode="json"), **overrides})

    def varied(self, fields: Mapping[str, Any]) -> "Recipe":
        """Return the recipe with single fields put in, and named after those that change.

        Args:
            fields: Values by field; `lora` may be a mapping or spelled out (`lora.r`).

        Returns:
            A recipe named like `mild+batch_size=2+lora.r=4`, or this one where nothing changes.

        Raises:
            ConfigError: An unknown field or a value out of range.
        """
        here = _flat(self.model_dump(mode="json"))
        asked = parse_recipe(_nested({**here, **_flat(fields)}))
        changed = {n: v for n, v in _flat(asked.model_dump(mode="json")).items() if v != here[n]}
        if not changed:
            return self
        base, *words = self.name.split("+")
        named = dict(word.split("=", 1) for word in words) | dict(_words(changed))
        name = "+".join([base, *(f"{field}={named[field]}" for field in sorted(named))])
        return asked.model_copy(update={"name": name})


def field_words(fields: Mapping[str, Any]) -> list[str]:
    """Return `batch_size=2`, `lora.r=4` ... as they stand in the name of a recipe."""
    return [f"{name}={text}" for name, text in _words(_flat(fields))]


def parse_words(words: Sequence[str]) -> dict[str, Any]:
    """Return the fields of `field_words`.

    Raises:
        ConfigError: A word without `=`.
    """
    fields: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise ConfigError(f"{word!r} is not FIELD=VALUE, as in batch_size=2 or lora.r=4.")
        fields[name] = text.split(",") if name == "lora.target_modules" else _value(text)
    return fields


def _words(flat: Mapping[str, Any]) -> list[tuple[str, str]]:
    def text(value: Any) -> str:
        if isinstance(value, list | tuple):
            return ",".join(value)
        return value if isinstance(value, str) else json.dumps(value)

    return [(name, text(value)) for name, value in flat.items()]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _flat(fields: Mapping[str, Any]) -> dict[str, Any]:
    lora = fields.get("lora", {})
    rest = {name: value for name, value in fields.items() if name != "lora"}
    return rest | {f"lora.{name}": value for name, value in lora.items()}


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    lora = {name.removeprefix("lora."): v for name, v in flat.items() if name.startswith("lora.")}
    return {n: v for n, v in flat.items() if not n.startswith("lora.")} | {"lora": lora}


def digest(value: Any) -> str:
    """Return twelve hex digits of SHA-256 over the canonical JSON of `value`."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def file_digest(path: Path) -> str:
    """Return twelve hex digits of SHA-256 over a file, or over every file of a folder by name."""
    sha = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
        if file != path:
            sha.update(file.relative_to(path).as_posix().encode())
        with file.open("rb") as handle:
            while chunk := handle.read(1 << 20):
                sha.update(chunk)
    return sha.hexdigest()[:12]


def parse_recipe(fields: dict[str, Any]) -> Recipe:
    """Validate recipe fields from TOML or the command line.

    Raises:
        ConfigError: Names the field, the value and what is allowed.
    """
    from pydantic import ValidationError

    try:
        return Recipe.model_validate(fields)
    except ValidationError as error:
        raise ConfigError(f"recipe {fields.get('name', '?')!r}: {first_problem(error)}.") from error
