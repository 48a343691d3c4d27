"""Make `reports/sample` and `docs/report*.png` from a run of the real default matrix: `nox -s sample`.

Arguments are the gate's (`--fresh`). Nothing is written unless the gate is green, Chromium is there for the
picture, and no path or name of this machine is in what is written.
"""

import io
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser
from rich.console import Console

from harness import reports
from harness.gate import GateResult
from harness.locations import cache_dir
from harness.reports import terminal
from harness.reports.wording import count, moment, seconds
from tests.browser import chromium

ROOT = Path(__file__).resolve().parent.parent
SAMPLE, DOCS = ROOT / "reports" / "sample", ROOT / "docs"
PICTURES = {"light": DOCS / "report.png", "dark": DOCS / "report-dark.png"}
COLUMNS = 100

# What the picture shows: the answer, and the verdicts over the matrix.
ONLY = "section:not(#matrix):not(:has(#matrix)), body > nav, footer { display: none }"


def run_gate(arguments: list[str], junit: Path) -> Path:
    """Run the gate as `nox -s gpu_matrix` does, shown as it runs; return the folder of its report."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--no-header", "-rN"]
    command += [f"--junitxml={junit}", "tests/matrix", *arguments]
    shown = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as gate:
        assert gate.stdout is not None
        for line in gate.stdout:
            print(line, end="", flush=True)  # noqa: T201
            shown.append(line)
    if gate.returncode != 0:
        sys.exit(f"The gate ended with {gate.returncode}: a sample is made of a green run only.")
    return Path(next(line for line in reversed(shown) if line.startswith("report: "))[8:-1]).parent


def table(result: GateResult) -> str:
    """Return what the terminal shows, without colour."""
    console = Console(file=io.StringIO(), width=COLUMNS, record=True)
    console.print(terminal.table(result))
    console.print(terminal.summary(result))
    return "\n".join(line.rstrip() for line in console.export_text().splitlines()) + "\n"


def story(result: GateResult) -> str:
    """Return the page that says when, how and where the sample came about."""
    cpu = result.machine_info.get("cpu", {})
    commit = result.commit_info.get("id") or "unknown"
    dirty = ", with uncommitted changes" if result.commit_info.get("dirty") else ""
    reused = sum(cell.reused for cell in result.cells)
    kept = f", {reused} of them measured by an earlier run and kept" if reused else ""
    return f"""# A sample report

One run of the default matrix, by the real libraries, as any run leaves it. `nox -s sample` makes this folder anew.

| | |
|---|---|
| command | `{result.command}` |
| started | {moment(result.started_at)} |
| took | {seconds(result.duration_s)}, {count(len(result.cells), "cell")}{kept} |
| machine | {cpu.get("count", "?")} cores of {cpu.get("brand_raw", "an unknown CPU")}, no GPU needed |
| commit | `{commit[:12]}`{dirty} |

| file | what |
|---|---|
| [table.txt](table.txt) | what the terminal shows at the end |
| [summary.md](summary.md) | for a job summary or a pull request |
| [junit.xml](junit.xml) | each check on each cell, for CI |

`report.html`, `result.json` and `benchmark.json` are left out for their size. [How to read them](../../docs/reports.md).

![The top of report.html: the answer, and the verdicts over the matrix](../../docs/report.png)
"""


def without_machine(text: str) -> str:
    """Return a text without the checkout's path and the host's name."""
    text = text.replace(f"{ROOT}/", "")
    return re.sub(r' hostname="[^"]*"', "", text)


def leaks(text: str) -> list[str]:
    """Return the paths and names of this machine that a text still has."""
    private = {str(ROOT), str(Path.home()), str(cache_dir()), tempfile.gettempdir()}
    private.add(platform.node())
    return sorted(w for w in private if re.search(rf"(?<!\w){re.escape(w)}\b", text))


def picture(browser: Browser, page: Path, scheme: str, to: Path) -> None:
    """Photograph the answer and the matrix of a report, 1,200 pixels wide."""
    context = browser.new_context(
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": 1200, "height": 400},
        bypass_csp=True,  # the page admits no style but its own
    )
    tab = context.new_page()
    tab.goto(page.as_uri())
    tab.wait_for_selector("#matrix", timeout=10_000)
    tab.add_style_tag(content=ONLY)
    tab.screenshot(path=to, full_page=True)
    context.close()


def main() -> None:
    """Run, check, write."""
    program = chromium.find()
    if program is None:
        sys.exit(f"The sample needs a picture of the report, and there is {chromium.MISSING}")
    os.environ.setdefault("HARNESS_COMMAND", "nox -s sample")
    with tempfile.TemporaryDirectory() as scratch:
        junit = Path(scratch) / "junit.xml"
        folder = run_gate(sys.argv[1:], junit)
        result = reports.load(folder)
        contents = {
            "README.md": story(result),
            "table.txt": table(result),
            "summary.md": (folder / reports.SUMMARY_NAME).read_text(encoding="utf-8"),
            "junit.xml": without_machine(junit.read_text(encoding="utf-8")),
        }
    for name, text in contents.items():
        if found := leaks(text):
            sys.exit(f"{name} would publish {', '.join(found)}: nothing is written.")
    SAMPLE.mkdir(exist_ok=True)
    for name, text in contents.items():
        (SAMPLE / name).write_text(text, encoding="utf-8")
    with chromium.running(program) as browser:
        for scheme, path in PICTURES.items():
            picture(browser, folder / reports.PAGE_NAME, scheme, path)
    print(f"written: {SAMPLE} and {', '.join(map(str, PICTURES.values()))}")  # noqa: T201


if __name__ == "__main__":
    main()
