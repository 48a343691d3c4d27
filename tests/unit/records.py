"""Healthy records to start from: change one thing, and see which check notices.

The figures are shaped like a float32 run of the tiny fixture (30 steps, three epochs), not measured
by it: no test may read them as a result.
"""

import math
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from harness.recipe import digest, parse_recipe
from harness.record import (
    ActivationBytes,
    ActivationMemory,
    Adapter,
    BaseWeights,
    BatchLoss,
    Evaluation,
    ExecutedPath,
    HardwareInfo,
    LoraModules,
    Phase,
    Precision,
    Probe,
    Record,
    Rows,
    Scaler,
    StackInfo,
    Step,
    Translation,
    TranslationScores,
)

EVAL_LOSSES = (6.74, 4.73, 4.38, 4.27)
STEPS_PER_EPOCH = 10
STEPS = 30
LAYERS = 6
NAN = math.nan


def evaluations(*losses: float | None, **changes: Any) -> list[Evaluation]:
    """Return one evaluation per loss, the first before training; `changes` go into each of them."""
    return [
        Evaluation(
            **{
                "step": epoch * STEPS_PER_EPOCH,
                "epoch": float(epoch),
                "eval_loss": loss,
                "token_loss": loss,
                "perplexity": None if loss is None else math.exp(min(loss, 700.0)),
                "token_accuracy": 0.01 + 0.1 * epoch,
                "tokens": 520,
                "wall_s": 0.12,
                "batches": [] if loss is None else batches(loss, 140, 120, 130, 130),
                **changes,
            }
        )
        for epoch, loss in enumerate(losses)
    ]


def batches(loss: float, *tokens: int) -> list[BatchLoss]:
    """Return batches of four rows with this mean loss and these numbers of predicted tokens."""
    return [BatchLoss(loss=loss * n, tokens=n, labels=n + 4, rows=4) for n in tokens]


def rows(texts: int, times: int, **changes: Any) -> Rows:
    """Return the rows of a split: each of `texts` came past `times` times, and all is well."""
    healthy: dict[str, Any] = {
        "texts": texts,
        "unsupervised_texts": 0,
        "rows": texts * times,
        "missing": 0,
        "unknown": 0,
        "of_other_split": 0,
        "bos_min": 1,
        "bos_max": 1,
        "longest": 98,
        "longest_text": 97,
        "supervised": 50 * texts * times,
        "masked": 0,
        "masked_expected": 0,
        "wrong_labels": 0,
    }
    return Rows(**{**healthy, **changes})


def activation_memory(
    matrices: float = 1.0, layer_inputs: float = 39.0, peak: float | None = None
) -> ActivationMemory:
    """Return figures of the tiny model over 32 to 256 tokens.

    Args:
        matrices: Float32 matrices of tokens x tokens that each layer and head keeps.
        layer_inputs: What else a token keeps, in float32 inputs of every layer.
        peak: A GPU's peak bytes a token.
    """
    layers, heads, hidden, vocab = 6, 4, 128, 768
    points = [
        ActivationBytes(
            tokens=n,
            kept=round(
                4 * n * (vocab + layers * (hidden * layer_inputs + heads * matrices * n)) + 500
            ),
            kept_logits=4 * vocab * n,
            peak_gpu_allocated=None if peak is None else round(peak * n),
        )
        for n in (32, 64, 128, 256)
    ]
    return ActivationMemory(
        layers=layers, heads=heads, hidden_size=hidden, vocab_size=vocab, points=points
    )


def steps(count: int = STEPS, **changes: Any) -> list[Step]:
    """Return `count` healthy steps; a change is one value for all of them, or a list.

    Unless they are given too, `raw_loss` is taken away where `loss` changes, and `applied` is
    unknown where `learning_rate` is 0, as in a run.
    """
    rows: list[dict[str, Any]] = [
        {
            "step": number,
            "epoch": number / STEPS_PER_EPOCH,
            "loss": round(4.2 + 2.5 * 0.88 ** (number - 1), 4),
            "raw_loss": 4.2 + 2.5 * 0.88 ** (number - 1),
            "grad_norm": 0.8 + 0.02 * number,
            "learning_rate": _linear_schedule(number, count),
            # The first steps pay for warm-up; the rest spread by 4 %.
            "wall_s": 0.4 if number == 1 else 0.073 + 0.001 * (number % 3),
            "tokens": 128 + 2 * (number % 4),
            "applied": True if number > 1 else None,
            # The optimizer's state comes with the first step; the rest is level but for crumbs.
            "memory_bytes": (180 << 20) + (-9000 if number == 1 else 4096 * (number % 3)),
        }
        for number in range(1, count + 1)
    ]
    if "loss" in changes:
        changes.setdefault("raw_loss", None)
    for field, value in changes.items():
        values = value if isinstance(value, Sequence) else [value] * count
        if len(values) != count:
            raise ValueError(f"{field}: {len(values)} values for {count} steps")
        for row, item in zip(rows, values, strict=True):
            row[field] = item
    if "applied" not in changes:
        for row in rows:
            row["applied"] = True if row["learning_rate"] != 0 else None
    return [Step(**row) for row in rows]


def _linear_schedule(number: int, count: int, peak: float = 1e-3, warmup: int = 2) -> float:
    done = number - 1
    if done < warmup:
        return peak * done / warmup
    return peak * (count - done) / max(1, count - warmup)


def make_record(**changes: Any) -> Record:
    """Return a healthy COMPLETED record with `changes` put in.

    A dict for a field that holds an object is merged into the healthy object
    (`precision={"autocast": "float16"}`, `recipe={"learning_rate": 0.0}`); `evaluations` also takes
    plain losses (`evaluations=[6.7, 6.7, 6.7, 6.7]`) and `steps` a dict for `steps()`
    (`steps={"grad_norm": NAN}`). Anything else replaces the field. `recipe_digest` follows the
    recipe unless it is given.
    """
    fields = _healthy()
    for name, value in changes.items():
        if name == "evaluations" and not all(isinstance(e, Evaluation) for e in value):
            fields[name] = evaluations(*value)
        elif name == "steps" and isinstance(value, dict):
            fields[name] = steps(**value)
        elif isinstance(value, dict) and isinstance(fields.get(name), BaseModel):
            fields[name] = fields[name].model_copy(update=value)
        elif isinstance(value, dict) and isinstance(fields.get(name), dict):
            fields[name] = {**fields[name], **value}
        else:
            fields[name] = value
    fields.setdefault(
        "recipe_digest", digest({k: v for k, v in fields["recipe"].items() if k != "name"})
    )
    return Record.model_validate(
        {k: v.model_dump() if isinstance(v, BaseModel) else v for k, v in fields.items()}
    )


def _healthy() -> dict[str, Any]:
    layers = [f"layers.{index}" for index in range(LAYERS)]
    return {
        "cell_id": "unsloth-2026.10.9/cpu/float32/mild",
        "key": "0123456789ab",
        "status": "COMPLETED",
        "started_at": "2026-10-20T12:00:00+00:00",
        "duration_s": 21.5,
        "harness_version": "0.1.0",
        "dtype_request": "float32",
        "recipe": parse_recipe({"name": "mild"}).model_dump(mode="json"),
        "stack": StackInfo(
            name="unsloth-2026.10.9",
            family="unsloth",
            release="2026.10.9",
            lock_digest="aaaaaaaaaaaa",
            python="3.11.9",
        ),
        "hardware": HardwareInfo(
            name="cpu",
            kind="native",
            device="Example CPU",
            bf16=True,
            memory_bytes=16 << 30,
            cores=2,
        ),
        "phases": [
            Phase(name="import", wall_s=7.0, peak_rss=600 << 20),
            Phase(name="load", wall_s=0.6, peak_rss=650 << 20),
            Phase(name="data", wall_s=0.4, peak_rss=660 << 20),
            Phase(name="train", wall_s=3.4, peak_rss=900 << 20),
            Phase(name="eval", wall_s=0.5, peak_rss=880 << 20),
            Phase(name="generate", wall_s=1.5, peak_rss=905 << 20),
            Phase(name="save", wall_s=0.2, peak_rss=905 << 20),
        ],
        "steps": steps(),
        "evaluations": evaluations(*EVAL_LOSSES),
        "executed": ExecutedPath(
            trainer_class="SFTTrainer",
            optimizer_class="AdamW",
            loss_function="ForCausalLMLoss",
            attention_implementation="eager",
            model_class="Gemma3ForCausalLM",
            gradient_checkpointing=False,
            requested={"learning_rate": 1e-3, "optim": "adamw_torch"},
            arguments={"learning_rate": 1e-3, "bf16": False, "fp16": False, "optim": "adamw_torch"},
            environment={},
            packages={"unsloth": "2026.10.9", "transformers": "5.17.0", "torch": "2.13.0"},
            files={"unsloth": "site-packages/unsloth/__init__.py"},
        ),
        "precision": Precision(
            weights={"float32": 80},
            lora={"float32": 84},
            activations={"float32": LAYERS},
            logits="float32",
            autocast="off",
            max_abs_activation={layer: 4.0 + index for index, layer in enumerate(layers)},
            args_bf16=False,
            args_fp16=False,
        ),
        "adapter": Adapter(
            trainable_parameters=107_520,
            digest_before="bbbbbbbbbbbb",
            digest_after="cccccccccccc",
            lora_b_tensors=42,
            lora_b_moved=42,
            finite=True,
            max_abs_update=0.02,
            lora=[
                LoraModules(module=module, layers=LAYERS, r=8, scaling=2.0, dropout=0.0)
                for module in parse_recipe({"name": "mild"}).lora.target_modules
            ],
        ),
        "base_weights": BaseWeights(
            frozen={"language": 80},
            trainable={"language": 84},
            checkpoint_tensors=80,
            equal=80,
            quantised=0,
            differing=[],
            not_in_checkpoint=[],
            not_loaded=[],
            changed=[],
        ),
        "rows": {"train": rows(40, 3), "evaluation": rows(16, 4)},
        "probe": Probe(
            items=132,
            first_step=batches(6.7, 132),
            train_mode_loss=4.2,
            eval_mode_loss=4.2,
            moved_by_later={"evaluation": 0.0, "training": 0.0},
            activation_memory=activation_memory(),
        ),
        "scaler": Scaler(enabled=False, applied=STEPS),
        "translations": [
            Translation(source="ave", reference="ciao", hypothesis="ciao"),
        ],
        "scores": TranslationScores(exact_match=1.0, chrf=100.0, signature="example"),
        "data": {"train_rows": 40, "eval_rows": 16, "model_digest": "dddddddddddd"},
    }
