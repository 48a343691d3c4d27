"""How outcomes and figures read: one symbol, one word and one number format for every report."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from harness.verdict import Outcome

NOT_MEASURED = "—"
"""Stands for a figure that is None: never zero, never an empty table cell."""

SYMBOLS: dict[Outcome, str] = {
    Outcome.PASS: "✓",
    Outcome.FAIL: "✗",
    Outcome.CRASHED: "!",
    Outcome.OOM: "▲",
    Outcome.TIMEOUT: "…",
    Outcome.INFRA: "?",
    Outcome.UNCALIBRATED: "○",
    Outcome.INCOMPARABLE: "≠",
    Outcome.SKIPPED: "–",  # noqa: RUF001 (an en dash is meant)
}

MEANINGS: dict[Outcome, str] = {
    Outcome.PASS: "measured, and as it should be",
    Outcome.FAIL: "measured, and not as it should be",
    Outcome.CRASHED: "the run ended in an error of the stack",
    Outcome.OOM: "the run ended out of memory",
    Outcome.TIMEOUT: "the run reached its time limit: no answer",
    Outcome.INFRA: "the machine failed, not the stack: no answer",
    Outcome.UNCALIBRATED: "no baseline or tolerance to compare with yet",
    Outcome.INCOMPARABLE: "the baseline is of another experiment",
    Outcome.SKIPPED: "does not apply, or its input is missing",
}

_SHORT_DTYPES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "float64": "fp64"}
# C0 and C1 controls but tab and newline, the bidirectional overrides, and lone surrogates.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def clean(text: str) -> str:
    """Replace characters that steer a terminal, hide text or cannot be encoded by U+FFFD."""
    return _UNPRINTABLE.sub("\ufffd", text.replace("\r\n", "\n"))


def short(text: str, limit: int) -> str:
    """Cut `text` to `limit` characters, saying how many are left out."""
    if len(text) <= limit:
        return text
    return f"{text[:limit].rstrip()} … ({len(text) - limit} more characters)"


def one_line(text: str, limit: int) -> str:
    """Clean `text`, join its lines and cut it to `limit` characters."""
    return short(" ".join(clean(text).split()), limit)


def number(value: float | None) -> str:
    """Write a figure with four significant digits, or whole; `nan` and `inf` as such."""
    if value is None:
        return NOT_MEASURED
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:.4g}"


def loss(value: float | None) -> str:
    """Write a loss with four decimals, so that a frozen one is seen to be frozen."""
    if value is None:
        return NOT_MEASURED
    if math.isfinite(value) and value != 0 and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.4g}"
    return f"{value:.4f}"


def perplexity(value: float | None) -> str:
    """Write a perplexity with one decimal, so that a column of them lines up."""
    if value is None or not abs(value) < 1e6:
        return number(value)
    return f"{value:,.1f}"


def rate(value: float | None) -> str:
    """Write tokens per second, whole above 100."""
    if value is None:
        return NOT_MEASURED
    return f"{value:,.0f}" if math.isfinite(value) and abs(value) >= 100 else number(value)


def percent(value: float | None) -> str:
    """Write a share of 0 ... 1 as a percentage."""
    return NOT_MEASURED if value is None else f"{100 * value:.1f} %"


def seconds(value: float | None) -> str:
    """Write a duration given in seconds."""
    if value is None or not math.isfinite(value):
        return number(value)
    if value < 120:
        return f"{value:.3g} s" if value < 1 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 120:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def size(value: int | None) -> str:
    """Write a number of bytes in MiB or GiB."""
    if value is None:
        return NOT_MEASURED
    if value < 1 << 30:
        return f"{value / (1 << 20):,.0f} MiB"
    return f"{value / (1 << 30):,.2f} GiB"


def answer(value: bool | None) -> str:
    """Write a flag."""
    return NOT_MEASURED if value is None else "yes" if value else "no"


def dtypes(counts: Mapping[str, int]) -> str:
    """Write `{"float16": 43, "float32": 37}` as `float16 x 43 + float32 x 37`, most first."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return " + ".join(f"{name} × {count}" for name, count in ranked) or NOT_MEASURED  # noqa: RUF001


def short_dtype(name: str) -> str:
    """Return `bf16` for `bfloat16`, and any unknown name unchanged."""
    return _SHORT_DTYPES.get(name, name)


def moment(text: str) -> str:
    """Write an ISO 8601 time to the minute in UTC; anything else is returned unchanged."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    if when.tzinfo is None:
        return when.strftime("%Y-%m-%d %H:%M")
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def plain(value: Any) -> str:
    """Write any JSON value of a record on one line."""
    if value is None or isinstance(value, str | int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(plain(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {plain(item)}" for key, item in value.items()) + "}"
    return str(value)


def count(amount: int, noun: str) -> str:
    """Return `1 cell` or `2 cells`."""
    return f"{amount} {noun}" if amount == 1 else f"{amount} {noun}s"
