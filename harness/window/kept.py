"""What a window brings back, in one file: a lent machine is a bare one every time."""

import json
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from harness import __version__
from harness.abandoned import whole_file
from harness.commit import commit_of
from harness.errors import CorruptRecordError
from harness.hardware import Machine
from harness.locations import PACKAGE, reports_dir
from harness.record import write_json_atomically
from harness.stacks import wheelhouse

ABOUT = "window.json"
FOLDERS = ("records", "baselines", "throughput")
"""What is measured, below the reports folder."""


def pack(file: Path) -> int:
    """Write all that was measured into one file, atomically; return its bytes.

    Raises:
        StorageError: It cannot be written.
    """
    reports = reports_dir()
    with whole_file(file) as temporary, tarfile.open(temporary, "w:gz") as archive:
        for path in _measured(reports):
            archive.add(path, path.relative_to(reports).as_posix())
    return file.stat().st_size


def unpack(file: Path) -> int:
    """Put what an earlier window brought back where it was; return how many files that were not there.

    Raises:
        CorruptRecordError: It is no such file.
    """
    reports, count = reports_dir(), 0
    reports.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(file) as archive:
            for member in archive:
                if member.isfile() and not (reports / member.name).exists():
                    archive.extract(member, reports, filter="data")
                    count += 1
    except (tarfile.TarError, OSError, EOFError) as error:
        raise CorruptRecordError(
            f"{file} is not what a window brought back ({error}). Move it away to begin anew."
        ) from error
    return count


def describe(machine: Machine) -> None:
    """Write what was measured on, and with which commit of the harness."""
    gpus = {gpu.slug: {"name": gpu.name, "driver": gpu.driver} for gpu in machine.gpus}
    about = {
        "cards": gpus,
        "cores": machine.cores,
        "harness": __version__,
        "commit": _commit(),
        "ended_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_json_atomically(reports_dir() / ABOUT, json.dumps(about, indent=1) + "\n")


def commit_in(folder: Path) -> str:
    """Return the commit of the harness that measured what a folder has; empty where nobody says."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    found = about.get("commit", "") if isinstance(about, dict) else ""
    return found if isinstance(found, str) else ""


def _commit() -> str:
    house = wheelhouse.folder()
    # Installed from the wheelhouse's own wheel, or run from a checkout.
    if house is not None and PACKAGE.parent.name.endswith("-packages"):
        return wheelhouse.read_manifest(house).commit
    return commit_of(PACKAGE.parent)


def _measured(reports: Path) -> Iterator[Path]:
    if (reports / ABOUT).exists():
        yield reports / ABOUT
    for folder in FOLDERS:
        yield from sorted((reports / folder).rglob("*.json"))
