"""Where things are: fixtures that ship with the harness, the cache, the results."""

import os
from datetime import UTC, datetime
from pathlib import Path

import platformdirs

from harness.errors import StorageError

PACKAGE = Path(__file__).resolve().parent


def _fixtures() -> Path:
    checkout = PACKAGE.parent / "fixtures"
    # In a wheel the fixtures travel inside the package.
    return checkout if checkout.is_dir() else PACKAGE / "_fixtures"


FIXTURES = _fixtures()


def shipped(path: Path) -> Path:
    """Return where a file is: `fixtures/NAME` names the shipped one where there is no checkout, too."""
    ours = FIXTURES / path.name
    is_ours = path.parent == Path("fixtures") and not path.exists() and ours.exists()
    return ours if is_ours else path


def cache_dir() -> Path:
    """Return the folder of built stacks and fixtures; HARNESS_CACHE overrides the user's cache."""
    override = os.environ.get("HARNESS_CACHE")
    return Path(override) if override else Path(platformdirs.user_cache_dir("gemma-lora-gate"))


def reports_dir() -> Path:
    """Return the folder of records and reports; HARNESS_REPORTS overrides `./reports`."""
    return Path(os.environ.get("HARNESS_REPORTS", "reports")).resolve()


def baselines_dir() -> Path:
    """Return the folder of approved baselines; HARNESS_BASELINES overrides that of the checkout."""
    override = os.environ.get("HARNESS_BASELINES")
    return Path(override).resolve() if override else FIXTURES / "baselines"


def new_run_dir(prefix: str = "", started: datetime | None = None) -> Path:
    """Make a folder of this call's own below `reports/runs`, named after a moment, now by default.

    Raises:
        StorageError: It cannot be made.
    """
    moment = started or datetime.now(UTC)
    runs = reports_dir() / "runs"
    name = f"{prefix}{moment:%Y%m%d-%H%M%S}-{os.getpid()}"
    folder, number = runs / name, 1
    try:
        runs.mkdir(parents=True, exist_ok=True)
        # Process numbers repeat: in another container on the same folder, after the clock was set back.
        while not _made(folder):
            number += 1
            folder = runs / f"{name}-{number}"
    except OSError as error:
        raise StorageError(
            f"cannot make {folder}: {error.strerror}. Free some space, or choose another folder than "
            "./reports with HARNESS_REPORTS."
        ) from error
    return folder


def _made(folder: Path) -> bool:
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True
