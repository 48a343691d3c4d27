"""LoRA is where it was asked for, on every layer, with the rank, scaling and dropout of the recipe.

Exists for Unsloth's CPU backend, which trains an MLP that it is told to leave
(reports/findings/cpu-backend-adapts-mlp-unasked.md), and for defaults of r, alpha or dropout that a release moves
(the kind of U#8261).
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from harness.checks import Context, verdict
from harness.record import LoraModules, Record
from harness.verdict import Outcome, Verdict

_NAME = "lora_as_asked"


def judge(record: Record, context: Context) -> Verdict:
    """PASS when the adapted projections are the recipe's, in all layers, with its settings.

    The scaling of LoRA is alpha / r (Hu et al., 2021, section 4.1).
    """
    found = record.adapter.lora if record.adapter else []
    if not found:
        reason = "the record is older than this evidence; run the cell again"
        return verdict(_NAME, record, Outcome.SKIPPED, reason)
    asked = record.recipe["lora"]
    problems = [*_places(found, asked["target_modules"]), *_settings(found, asked)]
    evidence: dict[str, Any] = {"lora": [one.model_dump() for one in found]}
    if problems:
        return verdict(
            _NAME,
            record,
            Outcome.FAIL,
            "; ".join(problems),
            diagnosis=("the library does not attach the adapter that it was asked for",),
            advice=("give target_modules by name, and every setting of LoRA explicitly",),
            **evidence,
        )
    layers = found[0].layers
    return verdict(
        _NAME,
        record,
        Outcome.PASS,
        f"LoRA is on {len(found)} projections in each of {layers} layers, as asked, with r "
        f"{asked['r']} and scaling {asked['alpha'] / asked['r']:g}",
        **evidence,
    )


def _places(found: Sequence[LoraModules], asked: Sequence[str]) -> Iterator[str]:
    layers: dict[str, int] = {}
    for one in found:
        layers[one.module] = layers.get(one.module, 0) + one.layers
    if unasked := sorted(set(layers) - set(asked)):
        yield f"LoRA is on {', '.join(unasked)}, which the recipe leaves alone"
    if absent := sorted(set(asked) - set(layers)):
        yield f"no LoRA is on {', '.join(absent)}, which the recipe asks for"
    most = max(layers.values())
    for module, count in sorted(layers.items()):
        if count < most:
            yield f"LoRA is on {module} in {count} of {most} layers"


def _settings(found: Sequence[LoraModules], asked: dict[str, Any]) -> Iterator[str]:
    wanted = {
        "r": asked["r"],
        "scaling": asked["alpha"] / asked["r"],
        "dropout": asked["dropout"],
    }
    for name, value in wanted.items():
        others = {
            getattr(one, name) for one in found if not math.isclose(getattr(one, name), value)
        }
        if others:
            said = ", ".join(f"{other:g}" for other in sorted(others))
            yield f"{name} is {said}, the recipe has {value:g}"
