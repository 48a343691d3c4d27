"""The machines that the harness runs on, as markers and wheels name them: a lock file is read for these."""

from typing import cast

from packaging import tags
from packaging.markers import Environment, Marker

from harness.stacks.locking import PLATFORM, PYTHON

WHERE = f"Linux x86-64 with Python {PYTHON}"

ENVIRONMENT: Environment = {
    "implementation_name": "cpython",
    "implementation_version": f"{PYTHON}.9",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_release": "",
    "platform_system": "Linux",
    "platform_version": "",
    "python_full_version": f"{PYTHON}.9",
    "python_version": PYTHON,
    "sys_platform": "linux",
}


def holds(marker: Marker, extra: str = "") -> bool:
    """Whether a requirement with this marker is one there, for those who ask for `extra`."""
    return marker.evaluate({**cast("dict[str, str]", ENVIRONMENT), "extra": extra})


def wheel_tags() -> list[tags.Tag]:
    """Return the tags of the wheels that can be installed there, the most specific first."""
    newest = int(PLATFORM.rpartition("_")[2])
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in range(newest, 4, -1)]
    platforms += [f"manylinux{old}_x86_64" for old in ("2014", "2010", "1")] + ["linux_x86_64"]
    version = tuple(map(int, PYTHON.split(".")))
    name = "cp" + PYTHON.replace(".", "")
    return [
        *tags.cpython_tags(version, abis=[name], platforms=platforms),
        *tags.compatible_tags(version, interpreter=name, platforms=platforms),
    ]
