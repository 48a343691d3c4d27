"""The model that trained is the checkpoint's, frozen, with LoRA on its language layers alone.

Exists for HF#39763 and U#733 (the names of a Gemma checkpoint are not mapped, and the model is newly
initialised after a mere warning), and for Unsloth's CPU backend, which takes
`finetune_vision_layers=False` and adapts the vision tower all the same.
"""

from collections.abc import Iterator

from harness.checks import Context, verdict
from harness.checks._diagnosis import TEXT_ONLY
from harness.record import BaseWeights, Record
from harness.verdict import Outcome, Verdict

_NAME = "base_weights"


def judge(record: Record, context: Context) -> Verdict:
    """PASS when every frozen tensor has the checkpoint's values and training changed none."""
    weights = record.base_weights
    if weights is None:
        return verdict(_NAME, record, Outcome.SKIPPED, "the record is older than this evidence")
    problems = list(_problems(weights))
    if problems:
        return verdict(
            _NAME,
            record,
            Outcome.FAIL,
            "; ".join(message for message, _, _ in problems),
            diagnosis=tuple(cause for _, cause, _ in problems),
            advice=tuple(dict.fromkeys(advice for _, _, advice in problems)),
            **weights.model_dump(),
        )
    if weights.checkpoint_tensors == 0:
        reason = "the checkpoint has no safetensors to compare with; training changed no tensor"
        return verdict(_NAME, record, Outcome.SKIPPED, reason, **weights.model_dump())
    parts = " and ".join(f"{count} {part}" for part, count in weights.frozen.items())
    packed = f", {weights.quantised} are packed and not compared" if weights.quantised else ""
    return verdict(
        _NAME,
        record,
        Outcome.PASS,
        f"{parts} tensors are frozen and unchanged: {weights.equal} have the checkpoint's "
        f"values{packed}; LoRA is on language layers only",
        **weights.model_dump(),
    )


def _problems(weights: BaseWeights) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong, its cause and what to do."""
    loading = "compare the names in the checkpoint with model.state_dict() in this release"
    if some := weights.not_in_checkpoint:
        yield (
            f"in the model and not in the checkpoint: {_tensors(some)}",
            "transformers initialises at random what a checkpoint lacks, and only warns",
            loading,
        )
    if some := weights.not_loaded:
        yield (
            f"in the checkpoint and not in the model: {_tensors(some)}",
            "another class than the checkpoint's own was built, or its names are not mapped",
            loading,
        )
    if some := weights.differing:
        yield (
            f"other values than the checkpoint's: {_tensors(some)}",
            "they were initialised anew, or overwritten after loading",
            loading,
        )
    if some := weights.changed:
        yield (
            f"frozen, and yet changed by training: {_tensors(some)}",
            "something other than the optimizer writes to the base",
            "run it again with the reference stack: it must leave the base alone",
        )
    if count := weights.trainable.get("vision", 0):
        yield (
            f"{count} trainable tensors are in the vision tower; the recipe asks for language layers",
            "the library does not keep finetune_vision_layers=False",
            TEXT_ONLY,
        )


def _tensors(names: list[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
