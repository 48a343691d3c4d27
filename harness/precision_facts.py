"""What a record says of precision, in the terms that the policy's rules speak in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from harness.profiles import BF16_CAPABILITY
from harness.record import HardwareInfo, Precision, Record

Field = Literal[
    "weights",
    "beside",
    "lora",
    "activations",
    "logits",
    "autocast",
    "args_bf16",
    "args_fp16",
    "force_float32",
]
Value = bool | str
Device = Literal["cpu", "gpu"]

FLOAT16_MAX = 65504.0
"""Largest finite float16 (IEEE 754-2008 binary16): (2 - 2**-10) * 2**15."""


@dataclass(frozen=True)
class Situation:
    """What is known before training: what was asked, of which library, on what.

    Attributes:
        device: What the library sees; an emulated card is a `gpu`.
        bf16: Whether that device has bfloat16.
    """

    family: str
    release: str
    device: Device
    kind: str
    bf16: bool
    request: str

    @classmethod
    def of(cls, record: Record) -> "Situation":
        """Read the situation of a record."""
        hardware = record.hardware
        return cls(
            family=record.stack.family,
            release=record.stack.release,
            device="cpu" if hardware.compute_capability is None else "gpu",
            kind=hardware.kind,
            bf16=hardware.bf16,
            request=record.dtype_request,
        )


@dataclass(frozen=True)
class Effective:
    """What was used, as a set of values per field; a field that was not measured is absent.

    `weights` is the dtype that carries the linear layers: the one of most frozen tensors. In a
    Gemma-3 of L layers 7 L + 1 tensors are matrices and 6 L + 1 are norms, which Unsloth upcasts to
    float32 on GPUs, so the matrices always outnumber what stands `beside` them. On a tie (4-bit
    weights in a model of two layers) the dtype that is not float32 carries.
    """

    values: Mapping[Field, frozenset[Value]]

    @classmethod
    def of(cls, precision: Precision) -> "Effective":
        """Read the effective precision of a record."""
        values: dict[Field, frozenset[Value]] = {}
        if precision.weights:
            carrier = max(
                precision.weights, key=lambda d: (precision.weights[d], d != "float32", d)
            )
            values["weights"] = frozenset([carrier])
            values["beside"] = frozenset(precision.weights) - {carrier}
        if precision.lora:
            values["lora"] = frozenset(precision.lora)
        if precision.activations:
            values["activations"] = frozenset(precision.activations)
        single: dict[Field, Value | None] = {
            "logits": precision.logits,
            "autocast": precision.autocast,
            "args_bf16": precision.args_bf16,
            "args_fp16": precision.args_fp16,
            "force_float32": precision.force_float32,
        }
        for field, value in single.items():
            if value is not None:
                values[field] = frozenset([value])
        return cls(values)


def contradictions(record: Record) -> Iterator[str]:
    """Yield each pair of facts in a record that cannot both be true."""
    yield from _hardware_contradictions(record.hardware)
    precision = record.precision
    if precision.args_bf16 and precision.args_fp16:
        yield "args_bf16 and args_fp16 are both True"
    for argument, set_, autocast in (
        ("args_bf16", precision.args_bf16, "float16"),
        ("args_fp16", precision.args_fp16, "bfloat16"),
    ):
        if set_ and precision.autocast == autocast:
            yield f"{argument} is True and the forward ran under {autocast} autocast"
    for what in ("weights", "lora", "activations"):
        counts: dict[str, int] = getattr(precision, what)
        for dtype, count in counts.items():
            if count < 1:
                yield f"{what} has {count} tensors of {dtype}"
    largest = max_abs_activation(precision)
    if set(precision.activations) == {"float16"} and FLOAT16_MAX < largest < float("inf"):
        yield f"every activation is float16 and yet |activation| is {largest:.4g}"


def _hardware_contradictions(hardware: HardwareInfo) -> Iterator[str]:
    if hardware.compute_capability is None:
        return
    try:
        major, minor = (int(part) for part in hardware.compute_capability.split("."))
    except ValueError:
        yield f"compute_capability {hardware.compute_capability!r} is not MAJOR.MINOR"
        return
    if ((major, minor) >= BF16_CAPABILITY) != hardware.bf16:
        yield (
            f"the hardware says bf16={hardware.bf16} at compute capability "
            f"{hardware.compute_capability}"
        )


def max_abs_activation(precision: Precision) -> float:
    """Return the largest finite |residual stream| over all layers; NaN when none was measured."""
    finite = [
        value
        for value in precision.max_abs_activation.values()
        if value is not None and value < float("inf")
    ]
    return max(finite, default=float("nan"))
