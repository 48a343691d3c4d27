"""Sessions: `nox -l` lists them. Everything after `--` goes to pytest.

nox -s gpu_matrix -- -k nf4      the main job, on the cells that pytest's -k selects
nox -s faults                    every fault, and which check sees it; what follows `--` goes to harness
nox -s relations                 runs that must agree; `-- --search 5` looks for recipes where they do not
nox -s sensitivity               slowdowns of known size: what the speed rule finds, beside other tools' rules
nox -s survival                  kill -9, disk full, clock jumps, a dead registry ...: the table of what is survived
nox -s tests                     unit, integration and browser tests
nox -s docs                      the documentation site, with every link checked
nox -s sample                    the sample report and its picture, from a run of the real matrix
"""

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "uv"
nox.options.sessions = ["lint", "tests"]
nox.options.reuse_existing_virtualenvs = True

PYTHON = "3.11"


def _sync(session: nox.Session, *groups: str, extras: Sequence[str] = ()) -> None:
    """Install the project, dependency groups and extras exactly as uv.lock says."""
    session.run_install(
        "uv",
        "sync",
        "--quiet",
        "--locked",
        f"--python={session.virtualenv.location}",
        *(f"--group={group}" for group in groups),
        *(f"--extra={extra}" for extra in extras),
        # What tests and mypy see is all of the harness; the gate itself needs no extra.
        *(["--all-extras"] if groups else []),
        env={"UV_PROJECT_ENVIRONMENT": session.virtualenv.location},
    )


def _gate(session: nox.Session, *arguments: str) -> None:
    junit = Path("reports") / "runs" / f"junit-{datetime.now(UTC):%Y%m%d-%H%M%S}.xml"
    posargs = shlex.join(session.posargs)
    session.run(
        "pytest",
        "-p",
        "no:cacheprovider",
        "-q",
        "--no-header",
        "-rN",
        f"--junitxml={junit}",
        *arguments,
        *session.posargs,
        env={"HARNESS_COMMAND": f"nox -s {session.name}" + (f" -- {posargs}" if posargs else "")},
    )


@nox.session(python=PYTHON)
def gpu_matrix(session: nox.Session) -> None:
    """Fine-tune every cell of the matrix and judge it: the gate."""
    _sync(
        session,
        extras=["ray"] if "ray" in " ".join(session.posargs).replace("=", " ").split() else [],
    )
    _gate(session, "tests/matrix")


@nox.session(python=PYTHON)
def tests(session: nox.Session) -> None:
    """Run unit, integration and browser tests, and a sample of the faults survived."""
    _sync(session, "test")
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    # Side by side, but for tests that train: those take the cores themselves, and some measure them.
    session.run("pytest", "-n", "auto", "tests/unit")
    session.run("pytest", "tests/integration", "tests/browser", "tests/survival")


def _harness(
    session: nox.Session, command: str, *defaults: str, groups: Sequence[str] = ()
) -> None:
    _sync(session, *groups)
    arguments = session.posargs or list(defaults)
    given = shlex.join(["nox", "-s", command, *(["--", *arguments] if arguments else [])])
    session.run("harness", command, *arguments, env={"HARNESS_COMMAND": given})


@nox.session(python=PYTHON)
def faults(session: nox.Session) -> None:
    """Inject every fault and see which check finds it, then 20 clean runs: about 6 minutes."""
    _harness(session, "faults", "--clean", "20")


@nox.session(python=PYTHON)
def relations(session: nox.Session) -> None:
    """See that runs which must agree do; `-- --search 5` also looks for recipes where they do not."""
    _harness(session, "relations")


@nox.session(python=PYTHON)
def sensitivity(session: nox.Session) -> None:
    """Inject slowdowns of known size and count what each rule finds: about 25 minutes."""
    _harness(session, "sensitivity", groups=["sensitivity"])


@nox.session(python=PYTHON)
def unit(session: nox.Session) -> None:
    """Run the unit tests alone: seconds, no torch."""
    _sync(session, "test")
    session.run("pytest", "-n", "auto", "tests/unit", *session.posargs)


@nox.session(python=PYTHON)
def survival(session: nox.Session) -> None:
    """Kill, fill, delay, spoil: what the harness survives, 100 kills among it: about 23 minutes."""
    _sync(session, "test")
    options = ["--all-faults", "--survival-report", "reports/survival.md"]
    session.run("pytest", "-q", *options, *(session.posargs or ["tests/survival"]))


@nox.session(python=PYTHON)
def benchmarks(session: nox.Session) -> None:
    """Measure what the harness itself costs."""
    _sync(session, "test")
    session.run("pytest", "tests/benchmarks", "--benchmark-only", *session.posargs)


@nox.session(python=PYTHON)
def docs(session: nox.Session) -> None:
    """Build the documentation into site/html and check every link: seconds, offline."""
    _sync(session, "docs")
    session.run("python", "-m", "harness.cli.reference")
    session.run("python", "docs/build.py")


@nox.session(python=PYTHON)
def sample(session: nox.Session) -> None:
    """Run the default matrix and keep its report in reports/sample; `-- --fresh` trains again."""
    _sync(session, "test")
    posargs = shlex.join(session.posargs)
    command = "nox -s sample" + (f" -- {posargs}" if posargs else "")
    session.run(
        "python", "-m", "reports.sample", *session.posargs, env={"HARNESS_COMMAND": command}
    )


@nox.session(python=PYTHON)
def lint(session: nox.Session) -> None:
    """Check style and types."""
    _sync(session, "dev")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
