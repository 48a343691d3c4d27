"""On which line a lock file in TOML says each version, which the parsed file no longer knows."""

import re

from packaging.utils import canonicalize_name, canonicalize_version

_NAME = re.compile(r'^name = "([^"]+)"', re.MULTILINE)
_VERSION = re.compile(r'^version = "([^"]+)"', re.MULTILINE)


class VersionLines:
    """The lines of the versions in one text."""

    def __init__(self, text: str, array: str) -> None:
        """Find them.

        Args:
            text: A lock file as its tool writes it: a header and a key a line.
            array: Name of the array of tables that holds the packages.
        """
        self._lines: dict[tuple[str, str], int] = {}
        entry = re.compile(rf"^\[\[{array}\]\]$(?:\n(?!\[).*)*", re.MULTILINE)
        for found in entry.finditer(text):
            name, version = _NAME.search(found[0]), _VERSION.search(found[0])
            if name:
                said = found.start() + (version or name).start()
                key = _key(name[1], version[1] if version else "")
                self._lines[key] = text.count("\n", 0, said) + 1

    def of(self, name: str, version: str = "") -> int:
        """Return the line of a package's version, or of its name where it has none; 1 if neither is found."""
        return self._lines.get(_key(name, version), 1)


def _key(name: str, version: str) -> tuple[str, str]:
    return canonicalize_name(name), canonicalize_version(version, strip_trailing_zero=False)
