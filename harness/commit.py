"""Which commit of the harness is running: what a figure names, so that somebody can run it again."""

import subprocess
from pathlib import Path

from harness.errors import BaselineError


def clean_commit(tree: Path) -> str:
    """Return the commit of a work tree that has no changes but to baselines.

    Raises:
        BaselineError: The tree has changes or is no git work tree: nobody could run these figures again.
    """
    try:
        commit = _git(tree, "rev-parse", "HEAD").strip()
        changed = _git(tree, "status", "--porcelain", "--", ".", ":(exclude)fixtures/baselines")
    except (OSError, subprocess.CalledProcessError) as error:
        raise BaselineError(
            f"{tree} is no git work tree ({error}): a baseline names the commit that it was measured "
            "with. Use a checkout."
        ) from error
    if changed:
        files = ", ".join(line[3:] for line in changed.splitlines()[:5])
        raise BaselineError(
            f"the work tree has changes ({files}): a baseline names the commit that it was measured "
            "with. Commit or stash them."
        )
    return commit


def commit_of(tree: Path) -> str:
    """Return the commit of a clean work tree, empty where there is none."""
    try:
        return clean_commit(tree)
    except BaselineError:
        return ""


def _git(tree: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", tree, *words], capture_output=True, text=True, check=True)
    return done.stdout
