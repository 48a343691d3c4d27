"""Who chose the dtypes that ran, as far as a record says so: the request, the library, or its mode for Gemma-3.

The check's own policy (fixtures/precision.toml) judges a choice and makes none; its verdict names the entries.
"""

from collections.abc import Iterator, Sequence

from harness.record import Record
from harness.reports.facts import departures
from harness.reports.wording import NOT_MEASURED
from harness.verdict import Outcome, Verdict

_LIBRARY = {"unsloth": "Unsloth", "reference": "the reference"}
_FORCED = "1"


def chosen_by(record: Record) -> str:
    """Say what chose the weights' dtype and the training arguments of mixed precision.

    A request whose name alone does not say what it asks of the loader (`nf4`) is told by the training arguments only.
    """
    return "; ".join([*_weights(record), *_arguments(record)]) or NOT_MEASURED


def policy_entries(verdicts: Sequence[Verdict]) -> str:
    """Name the rules that the precision check saw broken, and the documented deviation; empty where neither."""
    said = []
    for verdict in verdicts:
        if verdict.check != "precision":
            continue
        rules = verdict.evidence.get("broken_rules")
        said += [f"breaks {rule}" for rule in rules] if isinstance(rules, list) else []
        if known := verdict.evidence.get("known_deviation"):
            gone = "" if verdict.outcome is Outcome.PASS else ", which is gone"
            said.append(f"documented deviation {known}{gone}")
    return "; ".join(said)


def _weights(record: Record) -> Iterator[str]:
    precision, library = record.precision, _library(record)
    if precision.force_float32 == _FORCED:
        yield f"{library}: FORCE_FLOAT32=1"
    elif not precision.weights:
        return
    elif departures(record):
        yield f"{library}, not the request"
    elif record.dtype_request == "auto":
        yield f"{library}: left to it"
    elif record.dtype_request in ("float32", "float16", "bfloat16"):
        yield "the request"


def _arguments(record: Record) -> Iterator[str]:
    """Say of bf16 and fp16 which is on unasked, or is not as asked; an older record has no list of what was asked."""
    if record.executed is None or not record.executed.requested:
        return
    requested = record.executed.requested
    for name, effective in (
        ("bf16", record.precision.args_bf16),
        ("fp16", record.precision.args_fp16),
    ):
        asked = requested.get(name)
        if effective is None or effective == bool(asked):
            continue
        how = "unasked" if asked is None else f"although {'on' if asked else 'off'} was asked"
        yield f"args.{name} {'on' if effective else 'off'}, {how}"


def _library(record: Record) -> str:
    return _LIBRARY.get(record.stack.family, record.stack.family)
