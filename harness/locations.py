"""Where things are: fixtures that ship with the harness, the cache, the results."""

import os
from datetime import UTC, datetime
from pathlib import Path

import platformdirs

PACKAGE = Path(__file__).resolve().parent


def _fixtures() -> Path:
    checkout = PACKAGE.parent / "fixtures"
    # In a wheel the fixtures travel inside the package.
    return checkout if checkout.is_dir() else PACKAGE / "_fixtures"


FIXTURES = _fixtures()


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
    """Return a folder of this process's own below `reports/runs`, named after a moment, now by default."""
    moment = started or datetime.now(UTC)
    return reports_dir() / "runs" / f"{prefix}{moment:%Y%m%d-%H%M%S}-{os.getpid()}"
