"""Whether a run computed in float16, whether it left its range, and what to do about it."""

from harness.hardware import load_profiles
from harness.precision_facts import FLOAT16_MAX
from harness.record import Record


def float16_uses(record: Record) -> list[str]:
    """Return where float16 was seen to compute: autocast, activations, logits."""
    precision = record.precision
    return [
        place
        for place, used in (
            ("autocast", precision.autocast == "float16"),
            ("activations", "float16" in precision.activations),
            ("logits", precision.logits == "float16"),
        )
        if used
    ]


def first_layer_beyond_float16(record: Record) -> tuple[str, float] | None:
    """Return the first decoder layer whose residual stream reaches 65504, and its maximum."""
    for layer, figure in record.precision.max_abs_activation.items():
        if figure is not None and not abs(figure) < FLOAT16_MAX:
            return layer, figure
    return None


def float16_advice() -> tuple[str, ...]:
    """Return what keeps a run away from float16, naming the cards known to have bfloat16."""
    return (
        "train in bfloat16 on a card that has it (compute capability 8.0 or later): "
        + ", ".join(bf16_cards()),
        # Unsloth has no true float32 for Gemma-3 on a GPU: only the reference stack does.
        "or train the reference stack in float32 on this card",
    )


def bf16_cards() -> tuple[str, ...]:
    """Return the slugs of the known GPUs that have bfloat16, as they select a cell's hardware."""
    return tuple(slug for slug, profile in load_profiles().items() if profile.bf16)
