"""The shapes of Gemma-3 models, and how many parameters follow from them."""

import json
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from harness.errors import ConfigError, InputError, first_problem
from harness.locations import FIXTURES

_SIZES = FIXTURES / "gemma3.toml"

# transformers' Gemma3TextConfig fills these in, and published config.json files rely on it.
_TEXT_DEFAULTS = {
    "vocab_size": 262_208,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "sliding_window": 4096,
}
_PUBLISHED = re.compile(r"(?:google/|unsloth/)?gemma-3-(?P<size>\d+[mb])(?:-(?:it|pt))?")


class VisionTower(BaseModel):
    """A SigLIP encoder: frozen, 16-bit also beside 4-bit language layers."""

    model_config = ConfigDict(frozen=True, strict=True)

    hidden_size: PositiveInt
    num_hidden_layers: PositiveInt
    intermediate_size: PositiveInt
    patch_size: PositiveInt
    image_size: PositiveInt
    num_channels: PositiveInt = 3

    def parameters(self, text_hidden: int) -> int:
        """Return the tower's parameters, its projector into `text_hidden` included."""
        h, i = self.hidden_size, self.intermediate_size
        attention, mlp, norms = 4 * (h * h + h), 2 * h * i + i + h, 2 * 2 * h
        patches = (self.image_size // self.patch_size) ** 2
        embeddings = self.num_channels * self.patch_size**2 * h + h + patches * h
        encoder = self.num_hidden_layers * (attention + mlp + norms) + 2 * h
        projector = h * text_hidden + h
        return embeddings + encoder + projector


class Architecture(BaseModel):
    """A Gemma-3 decoder (tied embeddings, grouped-query attention, gated MLP, four norms a layer).

    Field names are those of config.json; lengths are numbers of channels, heads, layers or tokens.
    """

    model_config = ConfigDict(frozen=True, strict=True, protected_namespaces=())

    name: str
    hidden_size: PositiveInt
    num_hidden_layers: PositiveInt
    num_attention_heads: PositiveInt
    num_key_value_heads: PositiveInt
    head_dim: PositiveInt
    intermediate_size: PositiveInt
    vocab_size: PositiveInt
    sliding_window: PositiveInt
    vision: VisionTower | None = None

    @property
    def query_size(self) -> int:
        """Channels of all query heads."""
        return self.num_attention_heads * self.head_dim

    @property
    def key_size(self) -> int:
        """Channels of all key heads, and of all value heads."""
        return self.num_key_value_heads * self.head_dim

    @property
    def matrices(self) -> dict[str, tuple[int, int]]:
        """The linear layers of one decoder layer: name -> (inputs, outputs)."""
        h, i = self.hidden_size, self.intermediate_size
        return {
            "q_proj": (h, self.query_size),
            "k_proj": (h, self.key_size),
            "v_proj": (h, self.key_size),
            "o_proj": (self.query_size, h),
            "gate_proj": (h, i),
            "up_proj": (h, i),
            "down_proj": (i, h),
        }

    @property
    def linear_parameters(self) -> int:
        """Parameters of all decoder matrices: what 4-bit loading quantises."""
        return self.num_hidden_layers * sum(a * b for a, b in self.matrices.values())

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the embedding, which is the output head too."""
        return self.vocab_size * self.hidden_size

    @property
    def norm_parameters(self) -> int:
        """Parameters of every RMSNorm of the decoder."""
        per_layer = 4 * self.hidden_size + 2 * self.head_dim
        return self.num_hidden_layers * per_layer + self.hidden_size

    @property
    def vision_parameters(self) -> int:
        """Parameters of the vision tower and its projector; 0 without one."""
        return self.vision.parameters(self.hidden_size) if self.vision else 0

    @property
    def parameters(self) -> int:
        """Parameters of the whole checkpoint."""
        return (
            self.linear_parameters
            + self.embedding_parameters
            + self.norm_parameters
            + self.vision_parameters
        )

    def lora_parameters(self, r: int) -> int:
        """Return LoRA's parameters at rank `r` on all seven matrices of every layer.

        A is (r, inputs) and B is (outputs, r): r (inputs + outputs) a matrix (Hu et al. 2021).
        """
        return self.num_hidden_layers * sum(r * (a + b) for a, b in self.matrices.values())


@cache
def published() -> dict[str, Architecture]:
    """Return the published sizes, by name, smallest first.

    Raises:
        ConfigError: fixtures/gemma3.toml cannot be used; the message names the value.
    """
    try:
        data = tomllib.loads(_SIZES.read_text(encoding="utf-8"))
        vision = data["vision"]
        return {
            name: _validated({**shape, "name": name, "vision": vision if shape["vision"] else None})
            for name, shape in data["sizes"].items()
        }
    except (OSError, tomllib.TOMLDecodeError, KeyError, ValueError) as error:
        raise ConfigError(f"{_SIZES} cannot be used: {error}") from error


def architecture(model: str | Path) -> Architecture:
    """Return the architecture of a published size or of a checkpoint folder.

    Args:
        model: `4b`, `gemma-3-4b-it`, or a folder with config.json (text-only or multimodal).

    Raises:
        InputError: Neither a known size nor a readable Gemma-3 config.json.
    """
    path, sizes = Path(model).expanduser(), published()
    if path.exists():
        return _from_config(path / "config.json" if path.is_dir() else path)
    match = _PUBLISHED.fullmatch(str(model).lower())
    size = match["size"] if match else str(model).lower()
    if size not in sizes:
        raise InputError(
            f"no model {str(model)!r}: neither a folder nor a Gemma-3 size "
            f"({', '.join(sizes)}). Give one of these or the folder of a checkpoint."
        )
    return sizes[size]


def _from_config(path: Path) -> Architecture:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}. The folder needs a config.json.") from error
    text = config.get("text_config", config) if isinstance(config, dict) else None
    kind = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(text, dict) or kind not in ("gemma3", "gemma3_text"):
        raise InputError(
            f"{path}: model_type = {kind!r}; only gemma3 and gemma3_text are estimated here."
        )
    fields = {name: text.get(name, default) for name, default in _TEXT_DEFAULTS.items()}
    for name in ("hidden_size", "num_hidden_layers", "intermediate_size"):
        if name not in text:
            raise InputError(f"{path}: {name} is missing.")
        fields[name] = text[name]
    # Published configs name only what differs from SigLIP So400m, the one tower Gemma-3 has.
    vision = config.get("vision_config")
    tower = next(a.vision for a in published().values() if a.vision) if vision else None
    try:
        return _validated(
            {
                **fields,
                "name": path.parent.name,
                "vision": {**tower.model_dump(), **_known(vision)} if tower else None,
            }
        )
    except ValidationError as error:
        raise InputError(f"{path}: {first_problem(error)}.") from error


def _known(vision: Any) -> dict[str, Any]:
    names = VisionTower.model_fields
    return {k: v for k, v in vision.items() if k in names} if isinstance(vision, dict) else {}


def _validated(fields: dict[str, Any]) -> Architecture:
    return Architecture.model_validate(fields)
