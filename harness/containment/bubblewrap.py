"""A payload in bubblewrap: no network, no other process, no file but its own and those it is to read."""

from collections.abc import Sequence
from pathlib import Path

from harness.containment import readable

PROGRAM = "bwrap"
_NAMESPACES = ("user", "pid", "net", "ipc", "uts")
_GPU_DEVICES = ("nvidia*", "dri", "kfd", "dxg")


def command(
    work_dir: Path,
    scratch: Path,
    read: Sequence[Path],
    *,
    bound: bool = True,
    on_gpu: bool = False,
) -> list[str]:
    """Return the command that a payload's own follows (bwrap(1); options of 0.4 and later).

    Args:
        work_dir: The payload's folder.
        scratch: Where its `/tmp` and `/dev/shm` are kept: not in `work_dir`, which may be emptied while it runs.
        read: Files and folders that it may read beside the system's, under the paths that they have.
        bound: Whether it ends with the thread that starts it.
        on_gpu: Whether it gets the devices of GPUs.
    """
    parts = [PROGRAM, *(f"--unshare-{kind}" for kind in _NAMESPACES), "--unshare-cgroup-try"]
    parts += ["--die-with-parent"] if bound else []
    parts += ["--cap-drop", "ALL", "--proc", "/proc", "--dev", "/dev"]
    parts += ["--ro-bind-try", "/sys", "/sys"]
    for name in readable.SYSTEM:
        parts += _as_it_is(Path(name))
    for name in readable.SYSTEM_FILES:
        parts += ["--ro-bind-try", name, name]
    # Before what is to be read: that may lie in /tmp.
    parts += ["--bind", str(_own(scratch, "tmp")), "/tmp"]  # noqa: S108 - the payload's own
    parts += ["--bind", str(_own(scratch, "shm")), "/dev/shm"]  # noqa: S108
    for path in _outermost(read):
        parts += _as_it_is(path)
    parts += ["--bind", str(work_dir), str(work_dir)]
    if on_gpu:
        devices = [found for name in _GPU_DEVICES for found in sorted(Path("/dev").glob(name))]
        for device in devices:
            parts += ["--dev-bind-try", str(device), str(device)]
    return [*parts, "--remount-ro", "/", "--chdir", str(work_dir), "--"]


def _own(scratch: Path, name: str) -> Path:
    folder = scratch / name
    folder.mkdir(exist_ok=True)
    return folder


def _as_it_is(path: Path) -> list[str]:
    # A link stays one: /lib is usr/lib to the libraries that lie there.
    if path.is_symlink():
        return ["--symlink", str(path.readlink()), str(path)]
    return ["--ro-bind-try", str(path), str(path)]


def _outermost(paths: Sequence[Path]) -> list[Path]:
    """Leave out what lies in another of the paths, or in the system's folders."""
    shown = [*map(Path, readable.SYSTEM)]
    # Under both names: libraries look up what their own files are called in truth.
    names = {name for path in paths for name in (path, path.resolve())}
    for path in sorted(names, key=lambda path: len(path.parts)):
        if not any(path.is_relative_to(other) for other in shown):
            shown.append(path)
    return shown[len(readable.SYSTEM) :]
