"""Where the table of `harness faults` or `harness relations` is kept."""

from pathlib import Path

from harness.locations import new_run_dir
from harness.record import write_json_atomically


def write_table(kind: str, text: str, out: Path | None = None) -> Path:
    """Write a Markdown table below `reports/runs` and return its path.

    Args:
        kind: Names the folder and the file: `faults`, `relations`.
        text: The document.
        out: Where it is to be, too.

    Raises:
        StorageError: Disk full or folder not writable.
    """
    path = new_run_dir(f"{kind}-") / f"{kind}.md"
    write_json_atomically(path, text)
    if out is not None:
        write_json_atomically(out, text)
    return path
