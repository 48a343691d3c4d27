"""Build the documentation site into `site/html` and check every link: `nox -s docs`.

Pages are staged in the layout of the checkout, README first: one relative link is then right on GitHub and
on the site. The generator checks links between pages, lychee those of the sources and of the HTML, anchors
and images included. Nothing is fetched; outside links are checked for their form only.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES, HTML = ROOT / "site" / "pages", ROOT / "site" / "html"
SOURCES = ("README.md", "CHANGELOG.md", "docs", "reports")
SHOWN = (".md", ".png", ".svg", ".txt", ".xml", ".schema.json")


def sources() -> list[str]:
    """Return pages and pictures that git tracks or would track, as paths below the root."""
    tracked = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *SOURCES]
    listed = subprocess.run(tracked, cwd=ROOT, check=True, capture_output=True, text=True)
    paths = dict.fromkeys(listed.stdout.splitlines())
    return [path for path in paths if path.endswith(SHOWN) and (ROOT / path).is_file()]


def pages_without_place(paths: list[str]) -> list[str]:
    """Return the pages that the navigation of `mkdocs.yml` does not name."""
    named = re.findall(r"[\w./-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    return [path for path in paths if path.endswith(".md") and path not in named]


def stage(paths: list[str]) -> None:
    """Copy what the site shows, in place of what an earlier build left."""
    shutil.rmtree(ROOT / "site", ignore_errors=True)
    for path in paths:
        (PAGES / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, PAGES / path)


def main() -> int:
    """Build and check; return 0 when nothing is wrong."""
    paths = sources()
    if missing := pages_without_place(paths):
        print(f"in no navigation: {', '.join(missing)}. Add each to `nav` in mkdocs.yml.")  # noqa: T201
        return 1
    stage(paths)
    check = ("lychee", "--offline", "--include-fragments", "--no-progress")
    commands = (
        ("zensical", "build", "--clean", "--strict"),
        (*check, *(path for path in paths if path.endswith(".md"))),
        (*check, "--root-dir", HTML, "--index-files", "index.html", f"{HTML}/**/*.html"),
    )
    return max(subprocess.run(command, cwd=ROOT, check=False).returncode for command in commands)


if __name__ == "__main__":
    sys.exit(main())
