"""The comment on a pull request: the answer, what moved and where, then the run, within GitHub's limit."""

from harness.dependency_update.answer import Answer
from harness.dependency_update.update import Update, describe
from harness.gate import GateResult
from harness.reports import markdown
from harness.reports.markdown_text import code, escape
from harness.reports.wording import count

MARKER = "<!-- gemma-lora-gate:dependency-update -->"
"""The first line, which a reader does not see: a CI finds the comment by it and edits that one."""
LIMIT = 64_000
"""Bytes; a comment takes 65 536 characters."""
_LISTED = 40
_SHOWN = 12


def render(
    update: Update, answer: Answer | None, result: GateResult | None, limit: int = LIMIT
) -> str:
    """Render the comment.

    Args:
        update: What moved.
        answer: None where nothing moved.
        result: Of the cells that ran, if any did.
        limit: Largest size in bytes of UTF-8. The run's own part is cut first, then the lists.
    """
    if answer is None:
        return f"{MARKER}\n## ✓ {escape(nothing_moved(update), 400)}\n"
    lines = [MARKER, f"## {escape(answer.title, 200)}", ""]
    lines += [f"- {escape(reason, 1_200)}" for reason in answer.reasons]
    lines += ["", f"**{count(len(update.moved), 'package')} of the fine-tuning stack moved:**", ""]
    listed = [f"- {code(line, 200)}" for line in describe(update, update.moved[:_LISTED])]
    listed += _more(len(update.moved))
    lines += listed[:_SHOWN]
    if rest := listed[_SHOWN:]:
        lines += ["", "<details><summary>and the others</summary>", "", *rest, "", "</details>"]
    if answer.unseen and len(answer.unseen) < len(update.moved):
        names = ", ".join(one.name for one in answer.unseen)
        lines += ["", escape(f"Moved, but no cell that ran installs it: {names}.", 3_000)]
    if answer.missing:
        lines += ["", "**Not run:**", ""]
        lines += [f"- {code(cell_id, 160)}" for cell_id in answer.missing[:_LISTED]]
        lines += _more(len(answer.missing))
    head = "\n".join([*lines, "", ""])
    if result is None or not result.cells:
        return head
    # One heading a comment: the run's own becomes a part of it.
    run = markdown.render(result, limit - len(head.encode()) - len("#"))
    return f"{head}#{run}"


def nothing_moved(update: Update) -> str:
    """Say that no cell needs to run."""
    if not update.file:
        return "no lock file changed: nothing to run"
    return f"no package of the fine-tuning stack moved in {update.file}: nothing to run"


def _more(amount: int) -> list[str]:
    return [f"- and {amount - _LISTED} more"] if amount > _LISTED else []
