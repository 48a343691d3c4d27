"""What every command says and how it ends on Ctrl-C."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

console = Console()


def say(message: str) -> None:
    """Print a message as it is: no markup, no line broken."""
    console.print(message, soft_wrap=True, markup=False)


@contextmanager
def interruptible(
    kept: str = "finished cells are kept, run the same command to go on",
) -> Iterator[None]:
    """End with code 2 on Ctrl-C.

    Args:
        kept: What becomes of the work so far.
    """
    try:
        yield
    except KeyboardInterrupt:
        # Here, not in main(): the command line library ends the process with a code of its own.
        console.print(f"interrupted; {kept}")
        raise typer.Exit(2) from None
