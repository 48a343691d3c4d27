"""Orders and answers of a process that is told what to do: one JSON object a line on stdin and stdout."""

import json
import os
from pathlib import Path
from typing import Any


class Channel:
    """Takes over stdin and stdout, so that what libraries print never stands between the answers."""

    def __init__(self, output: Path) -> None:
        """Send what is printed from now on to a file.

        Args:
            output: Where it goes; stdin is empty from now on.
        """
        self._orders, self._answers = os.dup(0), os.dup(1)
        redirect(output)

    def order(self) -> dict[str, Any] | None:
        """Wait for an order; None when no more will come."""
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(self._orders, 1)
            if not byte:
                return None
            line += byte
        order: dict[str, Any] = json.loads(line)
        return order

    def say(self, **answer: Any) -> None:
        """Send an answer."""
        os.write(self._answers, json.dumps(answer).encode() + b"\n")

    def fileno(self) -> int:
        """Return the descriptor of the orders, for `select`."""
        return self._orders

    def close(self) -> None:
        """Close both ends."""
        os.close(self._orders)
        os.close(self._answers)


def redirect(output: Path) -> None:
    """Append stdout and stderr to a file, and read nothing from stdin."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(nothing, 0)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(nothing)
    os.close(file)
