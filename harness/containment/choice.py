"""Which containment payloads get here: the strongest that keeps its promise, or the one that is asked for."""

import os
import shutil
from functools import cache
from typing import get_args

from harness.containment import bubblewrap, namespaces
from harness.containment.trial import NotContainedError, Reach, try_out
from harness.errors import ConfigError, ContainmentError
from harness.record.containment import Containment, Kind

VARIABLE = "HARNESS_CONTAINMENT"
_AUTO = "auto"
PROGRAMS: dict[Kind, str] = {"bubblewrap": bubblewrap.PROGRAM, "unshare": namespaces.PROGRAM}
"""What each kind but `limits` needs."""
_PROMISES: dict[Kind, Reach] = {
    "bubblewrap": Reach(network=False, files=False, processes=False),
    "unshare": Reach(network=False, files=True, processes=False),
}
"""What each of them keeps in, the strongest first."""
_REMEDY = (
    "Install bubblewrap (`apt install bubblewrap`), and let users make namespaces where the system forbids it "
    "(docs/containment.md says how)"
)


def choose(*, on_gpu: bool = False) -> Containment:
    """Return the containment that payloads get on this machine.

    HARNESS_CONTAINMENT is `auto` (also without it), or names the one that it must be.

    Args:
        on_gpu: Whether the payload computes on a GPU.

    Raises:
        ConfigError: HARNESS_CONTAINMENT has another value.
        ContainmentError: It names one that does not work here.
    """
    wanted = os.environ.get(VARIABLE) or _AUTO
    if wanted not in (_AUTO, *get_args(Kind)):
        known = ", ".join((_AUTO, *get_args(Kind)))
        raise ConfigError(f"{VARIABLE} = {wanted!r}: must be one of {known}.")
    return _choose(wanted, on_gpu)


def weakness(containment: Containment) -> str:
    """Say what the strongest containment would keep in and this one does not; empty where it is as asked."""
    if not containment.why:
        return ""
    return (
        f"cells are contained by {containment.kind} alone and can reach this machine's {', '.join(containment.reaches)} "
        f"({containment.why}). {_REMEDY}."
    )


@cache
def _choose(wanted: str, on_gpu: bool) -> Containment:
    refused: list[str] = []
    for kind in _PROMISES if wanted == _AUTO else _PROMISES.keys() & {wanted}:
        try:
            reach = _tried(kind, on_gpu)
        except NotContainedError as error:
            refused.append(f"{kind}: {error}")
        else:
            return _described(kind, reach, refused)
    if wanted in PROGRAMS:
        raise ContainmentError(
            f"{VARIABLE} = {wanted!r}, and cells cannot be contained so on this machine: "
            f"{'; '.join(refused)}. {_REMEDY}, or set {VARIABLE}=auto to run with what works; the record says "
            "what that is."
        )
    return _described("limits", Reach(network=True, files=True, processes=True), refused)


def _tried(kind: Kind, on_gpu: bool) -> Reach:
    if shutil.which(PROGRAMS[kind]) is None:
        raise NotContainedError(f"{PROGRAMS[kind]} is not installed")
    reach = try_out(kind, on_gpu=on_gpu)
    if reach != _PROMISES[kind]:
        raise NotContainedError(f"it does not hold: {reach}")
    return reach


def _described(kind: Kind, reach: Reach, refused: list[str]) -> Containment:
    return Containment(kind=kind, **vars(reach), why="; ".join(refused))
