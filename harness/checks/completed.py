"""The run came to its end.

Exists for the class of U#2656, U#2052, U#3057, U#3826, U#2775, U#3415, U#2003 (a dependency release
breaks the import or the first step), U#2818, U#2737, U#3199 (float != Half on a T4), U#4017 and
TRL#5807 (token_type_ids is required), and Z#857, U#1147, U#4128 (out of memory).
"""

from collections.abc import Iterator

from harness.checks import Context, verdict
from harness.record import Failure, Record
from harness.verdict import Outcome, Verdict


def judge(record: Record, context: Context) -> Verdict:
    """PASS a completed run; otherwise answer with what became of the run."""
    failure = record.failure
    if record.status == "COMPLETED" and failure is None:
        return verdict(
            "completed",
            record,
            Outcome.PASS,
            f"the run completed in {record.duration_s:.1f} s with {len(record.steps)} steps",
            duration_s=record.duration_s,
            steps=len(record.steps),
        )
    if failure is None:
        failure = Failure(phase="unknown phase", kind=record.status, message="nothing was recorded")
    outcome = Outcome.FAIL if record.status == "COMPLETED" else Outcome(record.status)
    return verdict(
        "completed",
        record,
        outcome,
        f"{record.status} in {failure.phase} after {record.duration_s:.1f} s: "
        f"{failure.kind}: {failure.message}",
        diagnosis=_diagnosis(record, failure) if outcome.is_red else (),
        advice=_advice(record, failure),
        failure=failure.model_dump(),
        duration_s=record.duration_s,
        steps=len(record.steps),
    )


def _diagnosis(record: Record, failure: Failure) -> tuple[str, ...]:
    text = f"{failure.kind} {failure.message}"
    if record.status == "COMPLETED":
        return ("the payload reports both an end and a failure: its record contradicts itself",)
    if record.status == "OOM":
        return _out_of_memory(record)
    if failure.phase == "import" or failure.kind in ("ImportError", "ModuleNotFoundError"):
        return ("a package of the stack does not import beside the versions it was locked with",)
    if "Half" in text or "BFloat16" in text or "expected scalar type" in text:
        return ("two tensors of different dtype met: part of the model was not cast with the rest",)
    if "token_type_ids" in text:
        return ("the model asks for token_type_ids, which text-only rows lack (U#4017)",)
    if not record.steps:
        return (f"it failed in {failure.phase}, before the first optimizer step",)
    return (f"it failed in {failure.phase}, after {len(record.steps)} optimizer steps",)


def _out_of_memory(record: Record) -> tuple[str, ...]:
    done = len(record.steps)
    if not done and not record.evaluations:
        return ("it ran out of memory before the first evaluation and the first step",)
    cause = f"it ran out of memory after step {done}"
    evaluated = record.evaluations[-1].step if record.evaluations else -1
    if evaluated < done:
        cause += ", not yet evaluated: evaluation may hold full logits (Z#857, U#1147)"
    return (cause,)


def _advice(record: Record, failure: Failure) -> tuple[str, ...]:
    match record.status:
        case "OOM":
            return tuple(_less_memory(record))
        case "TIMEOUT":
            shared = record.hardware.parallel_cells
            return (
                "give the cell more time with --timeout SECONDS",
                f"run fewer cells at once: {shared} shared the machine",
            )
        case "INFRA":
            return ("run the cell again: the machine failed it, not the library under test",)
    if failure.phase == "import":
        return ("pin the package named in the message, or compare with the last stack that ran",)
    return ("read the traceback in the record, and run the last stack that passed beside it",)


def _less_memory(record: Record) -> Iterator[str]:
    recipe = record.recipe
    yield f"a smaller batch_size ({recipe['batch_size']}) with more gradient_accumulation"
    yield f"a smaller eval_batch_size ({recipe['eval_batch_size']})"
    if not recipe["gradient_checkpointing"]:
        yield "gradient checkpointing (gradient_checkpointing = true)"
    if record.dtype_request != "nf4":
        yield f"4-bit weights (dtype nf4 instead of {record.dtype_request})"
    yield f"shorter rows (max_seq_length is {recipe['max_seq_length']})"
