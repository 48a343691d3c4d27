"""Run cells that are forked from a process which has imported their stack, as `harness relations` does."""

import sys
from contextlib import closing
from pathlib import Path

from rich.console import Console

from harness.plan import Options, Plan


def main(matrix: Path, cells: list[str]) -> None:
    """Run them."""
    plan = Plan(Options(matrix=matrix, preloaded=True, jobs=2))
    with closing(plan):
        plan.execute(plan.runs(plan.matrix.cell(cell) for cell in cells), Console(width=200))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
