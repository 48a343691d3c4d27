"""Orders to a payload process, and its answers: one JSON object a line (`payload/channel.py`)."""

import json
import os
import select
import subprocess
import time
from typing import Any

from pydantic_core import from_json

_LONGEST = 1 << 20
"""Bytes of an answer."""


class Channel:
    """The harness's end, over the pipes of a process."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._orders, self._answers = process.stdin, process.stdout
        self._buffer = b""

    def order(self, **order: Any) -> None:
        """Send an order.

        Raises:
            OSError: The process is gone.
        """
        self._orders.write(json.dumps(order).encode() + b"\n")
        self._orders.flush()

    def answer(self, timeout_s: float) -> dict[str, Any] | None:
        """Return the next answer, None when none comes in time, an empty one at the end of all.

        What is no answer ends all: nothing that follows it can be believed.
        """
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._buffer:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self._answers], [], [], left)[0]:
                return None
            read = os.read(self._answers.fileno(), 4096)
            if not read or len(self._buffer) > _LONGEST:
                return {}
            self._buffer += read
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            answer = from_json(line)
        except ValueError:
            return {}
        return answer if isinstance(answer, dict) else {}

    def close(self) -> None:
        """Say that there are no more orders."""
        for pipe in (self._orders, self._answers):
            try:
                pipe.close()
            except BrokenPipeError:
                pass  # An order that nobody reads any more.
