"""The shape of unslothai/unsloth#2032, part by part, as changes to a healthy record."""

import math
from typing import Any

from tests.unit.records import LAYERS, NAN, STEPS

FROZEN = [6.9392] * 4
STILL = {"digest_after": "bbbbbbbbbbbb", "lora_b_moved": 0, "max_abs_update": 0.0}
FLOAT16 = {"weights": {"float16": 80}, "autocast": "float16", "activations": {"float16": LAYERS}}
BEYOND = {"layers.0": 1.5e4, "layers.1": 3.2e4, "layers.2": 8e5, "layers.3": math.inf}

# Every step overflows float16 and is skipped, the log says loss 0, the scheduler waits at rate 0.
OVERFLOWING: dict[str, Any] = {
    "evaluations": FROZEN,
    "adapter": STILL,
    "precision": {**FLOAT16, "max_abs_activation": BEYOND},
    "steps": {"loss": 0.0, "grad_norm": NAN, "applied": False, "learning_rate": 0.0},
    "scaler": {"enabled": True, "applied": 0, "skipped": STEPS, "scale_first": 65536.0,
               "scale_last": 6.1e-5},
}  # fmt: skip
