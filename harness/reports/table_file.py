"""Where the table of `harness faults` or `harness relations` is kept."""

from pathlib import Path

from harness.locations import new_run_dir
from harness.record import write_json_atomically


def write_table(kind: str, text: str) -> Path:
    """Write a Markdown table below `reports/runs` and return its path.

    Args:
        kind: Names the folder and the file: `faults`, `relations`.
        text: The document.

    Raises:
        StorageError: Disk full or folder not writable.
    """
    path = new_run_dir(f"{kind}-") / f"{kind}.md"
    write_json_atomically(path, text)
    return path
