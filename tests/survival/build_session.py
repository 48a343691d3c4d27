"""Build a stack of one lock and import a package in it: `python -m tests.survival.build_session LOCK PACKAGE`."""

import subprocess
import sys
import time
from pathlib import Path

from harness.errors import HarnessError
from harness.stacks import environments
from harness.stacks.stack import Stack


def main(lock: Path, package: str) -> int:
    """Build, import, and return the exit code that the command line gives."""
    stack = Stack("reference", "1", "cpu", "3.11", lock.read_text(), ())
    start = time.monotonic()
    try:
        python = environments.ensure(stack, lambda said: print(said, flush=True))  # noqa: T201
    except HarnessError as error:
        sys.stdout.write(f"error: {error}\nafter {time.monotonic() - start:.1f} s\n")
        return error.exit_code
    subprocess.run([python, "-c", f"import {package}"], check=True)
    sys.stdout.write("built and imported\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
