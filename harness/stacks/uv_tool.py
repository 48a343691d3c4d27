"""uv, started as a child process: the one place through which the harness reaches a registry."""

import os
import subprocess

from harness.abandoned import work_folder
from harness.bound_process import run_bound
from harness.errors import ConfigError, StackBuildError

# Settings of the user's own that would change what a release resolves to.
_NOT_PASSED_ON = (
    "UV_BUILD_CONSTRAINT",
    "UV_CONSTRAINT",
    "UV_EXCLUDE_NEWER",
    "UV_FIND_LINKS",
    "UV_FORK_STRATEGY",
    "UV_OVERRIDE",
    "UV_PRERELEASE",
    "UV_RESOLUTION",
    "UV_TORCH_BACKEND",
)
# uv does not read pip's configuration; what is set for pip serves where uv's own is not set.
_FROM_PIP = {
    "PIP_INDEX_URL": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "PIP_EXTRA_INDEX_URL": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "PIP_CERT": ("SSL_CERT_FILE",),
}
_NO_SOLUTION = 1

LIMIT = "HARNESS_UV_TIMEOUT"
"""Variable with the seconds that one call of uv may take. uv's own UV_HTTP_TIMEOUT (30 s) is for a
registry that says nothing; one that says a little now and then would hold it for ever."""
_DEFAULT_LIMIT_S = 3600.0


class NoSolutionError(StackBuildError):
    """uv reached the registry, and no set of its packages meets the requirements."""


def run_uv(*arguments: str, purpose: str) -> str:
    """Run uv and return what it printed.

    It runs in a folder of its own, so that no project's configuration takes part; the user's own uv
    configuration, index, certificates and proxy do.

    Args:
        arguments: Command line after `uv`; paths absolute.
        purpose: What it is for, as the end of "cannot ...".

    Raises:
        NoSolutionError: The requirements contradict each other or ask for what is not published.
        StackBuildError: Anything else: no network, no disk, a wrong hash. Both end with uv's words.
            Or it took longer than HARNESS_UV_TIMEOUT.
        ConfigError: HARNESS_UV_TIMEOUT is no number of seconds.
    """
    try:
        # Not at the top: where stacks come from a wheelhouse there need be no uv.
        from uv import find_uv_bin
    except ImportError as error:
        raise StackBuildError(
            f"cannot {purpose}: uv is not installed here. Install it, or name a wheelhouse that holds the "
            "stack with HARNESS_WHEELHOUSE."
        ) from error
    limit, command = _limit_s(), " ".join(arguments[:2])
    with work_folder("uv") as empty:
        # uv looks upwards for a project's configuration: a stray pyproject.toml beside the temporary
        # folders would change what every stack resolves to.
        (empty / "uv.toml").touch()
        try:
            result = run_bound(
                [find_uv_bin(), *arguments], cwd=empty, env=environment(), timeout_s=limit
            )
        except subprocess.TimeoutExpired:
            raise StackBuildError(
                f"cannot {purpose}: `uv {command}` had not ended after {limit:g} s. Check the network and "
                f"the registry that uv is given, then run again, or give it more time: {LIMIT}=SECONDS."
            ) from None
    if result.returncode == 0:
        return result.stdout
    said = result.stderr.strip()[-2000:]
    if result.returncode == _NO_SOLUTION and "No solution found" in said and "disabled" not in said:
        raise NoSolutionError(f"cannot {purpose}: `uv {command}` finds no solution.\n{said}")
    raise StackBuildError(
        f"cannot {purpose}: `uv {command}` exited {result.returncode}. Check the network and the "
        f"disk, then run again.\n{said}"
    )


def _limit_s() -> float:
    given = os.environ.get(LIMIT, "")
    try:
        limit = float(given or _DEFAULT_LIMIT_S)
    except ValueError:
        limit = 0.0
    if not limit > 0:
        raise ConfigError(f"{LIMIT} = {given!r}: seconds that uv may take, above 0.")
    return limit


def environment() -> dict[str, str]:
    """Return the environment variables that uv is started with."""
    passed = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
    for theirs, ours in _FROM_PIP.items():
        if theirs in passed and not any(name in passed for name in ours):
            passed[ours[0]] = passed[theirs]
    return passed


def find_links() -> list[str]:
    """Return uv arguments for the wheel folders that the user has set, for uv or for pip."""
    folders = os.environ.get("UV_FIND_LINKS", "").split(",")
    folders += os.environ.get("PIP_FIND_LINKS", "").split()
    return [arg for folder in folders if folder for arg in ("--find-links", folder)]
