"""Files that a payload left: whatever it put in their place, reading them reads nothing else."""

import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_CONTROL = dict.fromkeys([*range(32), *range(127, 160)], "�")
for _kept in "\t\n":
    del _CONTROL[ord(_kept)]
_CONTROL[ord("\r")] = "\n"


def open_returned(path: Path) -> BinaryIO:
    """Open a regular file of a payload's folder: no link, no pipe that would never end.

    Raises:
        FileNotFoundError: There is none.
        OSError: It is something else.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path.name} is no regular file")
    return os.fdopen(descriptor, "rb")


def plain_text(text: str) -> str:
    """Return a text without what a terminal would obey: colours go, other control characters are replaced."""
    return _COLOURS.sub("", text).translate(_CONTROL)


def tail(path: Path, length: int) -> str:
    """Return the end of a text that a payload left; empty where it left none.

    Args:
        path: The file.
        length: Bytes.
    """
    try:
        with open_returned(path) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - length))
            data = file.read(length)
    except OSError:
        return ""
    return plain_text(data.decode("utf-8", errors="replace"))
