"""The recipe: what is fine-tuned, on what, and how. Nothing about releases or hardware."""

import hashlib
import json
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
