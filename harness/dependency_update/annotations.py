"""GitHub's workflow commands: the answer on the line of each requirement that moved.

Format and escapes: actions/toolkit, packages/core/src/command.ts (escapeData, escapeProperty).
"""

from collections.abc import Iterator

from harness.dependency_update.answer import Answer
from harness.dependency_update.update import Update
from harness.upgrades import StepVerdict

_MOST = 10
"""Annotations of one kind that GitHub shows of one step."""
_LEVELS = {StepVerdict.NOT_SAFE: "error", StepVerdict.NO_ANSWER: "warning"}


def commands(update: Update, answer: Answer) -> Iterator[str]:
    """Yield a workflow command for each package that moved, as many as GitHub shows."""
    why = "; ".join(answer.reasons[:2])
    left_out = len(update.moved) - _MOST
    for place, moved in enumerate(update.moved[:_MOST], start=1):
        level, said = _LEVELS.get(answer.verdict, "notice"), f"{answer.title}. {why}"
        if moved in answer.unseen and level == "notice":
            level, said = "warning", f"No cell that ran installs this. The others: {said}"
        more = f" (and {left_out} more packages)" if left_out > 0 and place == _MOST else ""
        properties = {"file": update.file, "line": moved.line, "title": f"{moved.words}{more}"}
        shown = ",".join(f"{k}={_property(str(v))}" for k, v in properties.items() if v is not None)
        yield f"::{level} {shown}::{_data(said)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
