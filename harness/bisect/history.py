"""The releases of Unsloth that the registry has, in the order in which they came out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from harness.errors import StackBuildError, UnknownStackError
from harness.stacks.uv_tool import environment

if TYPE_CHECKING:
    from pypi_simple import DistributionPackage

_TIMEOUT_S = 60


@dataclass(frozen=True)
class Release:
    """One release.

    Attributes:
        version: As its stack is named.
        uploaded: When the first of its files was published.
        yanked: Why its maintainers took it back; empty where they gave no reason, None where they did not.
    """

    version: str
    uploaded: datetime
    yanked: str | None = None


@dataclass(frozen=True)
class History:
    """Releases in order of upload, and those left out between them, in words."""

    releases: tuple[Release, ...]
    left_out: tuple[str, ...] = ()


def between(one: str, other: str) -> History:
    """Ask the registry for the releases from one to another, both included.

    Pre-releases and yanked releases are left out, unless they are an end: `pip install unsloth` never gave
    them. The older end comes first, whichever was named first.

    Raises:
        UnknownStackError: The registry does not have an end, or both are one.
        StackBuildError: It cannot be asked, or does not say when files were uploaded.
    """
    return select(_by_version(_files()), one, other)


def select(published: Sequence[Release], one: str, other: str) -> History:
    """Return the releases from one to another of all that were published; see `between`."""
    ordered = sorted(published, key=lambda r: (r.uploaded, Version(r.version)))
    at = {release.version: number for number, release in enumerate(ordered)}
    for end in (one, other):
        if end not in at:
            near = sorted(at, key=lambda version: _distance(version, end))[:3]
            raise UnknownStackError(
                f"the registry has no unsloth {end}; the nearest are {', '.join(near)}."
            )
    if one == other:
        raise UnknownStackError(f"both ends are {one}: give two releases.")
    first, last = sorted((at[one], at[other]))
    kept, left_out = [], []
    for release in ordered[first : last + 1]:
        why = _why_not(release)
        if why is None or release.version in (one, other):
            kept.append(release)
        else:
            left_out.append(f"{release.version} is left out: {why}")
    return History(tuple(kept), tuple(left_out))


def _why_not(release: Release) -> str | None:
    if release.yanked is not None:
        return f"yanked{': ' if release.yanked else ''}{release.yanked}"
    return "a pre-release" if Version(release.version).is_prerelease else None


def _distance(version: str, end: str) -> tuple[int, ...]:
    try:
        wanted = Version(end).release
    except InvalidVersion:
        return ()
    return tuple(abs(a - b) for a, b in zip(Version(version).release, wanted, strict=False))


def _by_version(files: "Sequence[DistributionPackage]") -> list[Release]:
    by_version: dict[str, list[DistributionPackage]] = {}
    for file in files:
        if file.version is not None:
            try:
                by_version.setdefault(str(Version(file.version)), []).append(file)
            except InvalidVersion:
                continue
    return [_release(version, of_it) for version, of_it in by_version.items()]


def _release(version: str, files: "Sequence[DistributionPackage]") -> Release:
    moments = [file.upload_time for file in files if file.upload_time is not None]
    if not moments:
        raise StackBuildError(
            f"the index does not say when unsloth {version} was uploaded (PEP 700), so there is no order to "
            "search. Use an index that does, such as https://pypi.org/simple."
        )
    # A release is yanked when all of its files are.
    yanked = (files[0].yanked_reason or "") if all(f.is_yanked for f in files) else None
    return Release(version, min(moments), yanked)


def _files() -> "Sequence[DistributionPackage]":
    # Half a second of imports that no other command needs.
    import requests
    from pypi_simple import (
        PYPI_SIMPLE_ENDPOINT,
        NoSuchProjectError,
        PyPISimple,
        UnsupportedContentTypeError,
        UnsupportedRepoVersionError,
    )

    settings = environment()
    index = settings.get("UV_DEFAULT_INDEX") or settings.get("UV_INDEX_URL")
    session = requests.Session()
    session.verify = settings.get("SSL_CERT_FILE") or True
    try:
        with PyPISimple(index or PYPI_SIMPLE_ENDPOINT, session=session) as client:
            return client.get_project_page("unsloth", timeout=_TIMEOUT_S).packages
    except (
        requests.RequestException,
        NoSuchProjectError,
        UnsupportedContentTypeError,
        UnsupportedRepoVersionError,
    ) as error:
        # Not its message: an index URL can hold a password.
        raise StackBuildError(
            f"cannot list the releases of unsloth: {type(error).__name__}. Check the network, and the index "
            "that UV_DEFAULT_INDEX or PIP_INDEX_URL names."
        ) from error
