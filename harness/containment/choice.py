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
_PROGRAMS = {"bubblewrap": bubblewrap.PROGRAM, "unshare": namespaces.PROGRAM}
_PROMISES = {
    "bubblewrap": Reach(network=False, files=False, processes=False),
    "unshare": Reach(network=False, files=True, processes=False),
}
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
    open_ = [word for word in ("network", "files", "processes") if getattr(containment, word)]
    return (
        f"cells are contained by {containment.kind} alone and can reach this machine's {', '.join(open_)} "
        f"({containment.why}). {_REMEDY}."
    )


@cache
def _choose(wanted: str, on_gpu: bool) -> Containment:
    refused = []
    for kind in ("bubblewrap", "unshare") if wanted == _AUTO else (wanted,):
        if kind == "limits":
            break
        try:
            reach = _tried(kind, on_gpu)
        except NotContainedError as error:
            refused.append(f"{kind}: {error}")
        else:
            return _described(kind, reach, refused)
    if wanted in _PROGRAMS:
        raise ContainmentError(
            f"{VARIABLE} = {wanted!r}, and cells cannot be contained so on this machine: "
            f"{'; '.join(refused)}. {_REMEDY}, or set {VARIABLE}=auto to run with what works; the record says "
            "what that is."
        )
    return _described("limits", Reach(network=True, files=True, processes=True), refused)


def _tried(kind: str, on_gpu: bool) -> Reach:
    if shutil.which(_PROGRAMS[kind]) is None:
        raise NotContainedError(f"{_PROGRAMS[kind]} is not installed")
    reach = try_out(kind, on_gpu=on_gpu)
    if reach != _PROMISES[kind]:
        raise NotContainedError(f"it does not hold: {reach}")
    return reach


def _described(kind: str, reach: Reach, refused: list[str]) -> Containment:
    return Containment.model_validate({"kind": kind, **vars(reach), "why": "; ".join(refused)})
