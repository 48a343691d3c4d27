"""Text of a record as GitHub Markdown: one line, without any effect of its own."""

import re

from harness.reports.wording import one_line

_SPECIAL = re.compile(r"[\\`*_\[\]|~$]|^[-+=]|^#+(?= )|^\d+(?=[.)] )")


def escape(text: str, limit: int) -> str:
    """Make any text one line of plain Markdown: no markup, no HTML, no mention, no issue link."""
    safe = _SPECIAL.sub(lambda found: f"\\{found[0]}", one_line(text, limit))
    # GitHub looks for mentions, issues and links in the rendered text: only a zero-width space
    # stops that.
    safe = re.sub(r"@|#(?=\d)|:(?=//)|www(?=\.)", lambda found: f"{found[0]}\u200b", safe)
    return safe.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def code(text: str, limit: int) -> str:
    """Make any text one line of code that is safe in a table, too."""
    line = one_line(text, limit)
    if not re.search(r"[`|\\<]", line):
        return f"`{line}`" if line else "` `"
    # A code span cannot hold these: spell every special character as an entity instead.
    return f"<code>{re.sub(r'[^A-Za-z0-9 ./=,-]', lambda m: f'&#{ord(m[0])};', line)}</code>"
