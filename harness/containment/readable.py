"""What a contained payload may read: the system's libraries, its stack, and what it is given."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
)
SYSTEM_FILES = (
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/group",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/timezone",
)
"""What libraries look up when they start, none of it a secret."""
_ROOT = Path("/")


def interpreter_paths(python: Path) -> list[Path]:
    """Return the folders that hold a Python and its packages, and each link on the way to it.

    Of a virtual environment also the Python that it is made from, and the folders that its `.pth` files
    name (an editable install, a machine's own packages).
    """
    found, link = [], _absolute(python)
    while True:
        prefix = link.parent.parent
        if (prefix / "pyvenv.cfg").is_file():
            found += [prefix, *_base_of(prefix), *_named_by_pth(prefix)]
        elif prefix != _ROOT and any(prefix.glob("lib*/python3*/os.py")):
            found += [prefix, prefix.resolve(), *_named_by_pth(prefix)]
        else:
            found.append(link)
        if not link.is_symlink():
            return list(dict.fromkeys(found))
        link = _absolute(link.parent / link.readlink())


def with_targets(folder: Path) -> list[Path]:
    """Return a folder and what the links in it stand for, as a hub's cache keeps its files."""
    links = [entry for entry in folder.iterdir() if entry.is_symlink()]
    return [folder, *(link.resolve() for link in links if link.exists())]


def named_by_user() -> list[Path]:
    """Return the folders of HARNESS_READABLE and LD_LIBRARY_PATH that exist."""
    given = [os.environ.get(name, "") for name in ("HARNESS_READABLE", "LD_LIBRARY_PATH")]
    return list(_existing(path for paths in given for path in paths.split(os.pathsep)))


def _base_of(environment: Path) -> Iterator[Path]:
    for line in (environment / "pyvenv.cfg").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "home":
            base = Path(value.strip()).parent
            yield from (base, base.resolve())


def _named_by_pth(prefix: Path) -> Iterator[Path]:
    for file in prefix.glob("lib*/python3*/*-packages/*.pth"):
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        # As `site` reads them: a line that begins with `import` is run, any other is a path.
        paths = (
            line.strip() for line in lines if not line.startswith(("import ", "import\t", "#"))
        )
        yield from _existing(str(file.parent / path) for path in paths if path)


def _existing(paths: Iterable[str]) -> Iterator[Path]:
    for path in paths:
        # The whole file system is not what anybody means.
        if path and Path(path).is_dir() and Path(path).resolve() != _ROOT:
            yield from (_absolute(Path(path)), Path(path).resolve())


def _absolute(path: Path) -> Path:
    # Links are to stay: each is shown under its own name.
    return Path(os.path.abspath(path))  # noqa: PTH100
