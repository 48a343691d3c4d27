"""What a cluster calls on one of its nodes: tell what is there, and run an order in a fresh process."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from pydantic import TypeAdapter

from harness.cpu_info import read_cpu
from harness.dispatch.cluster.order import answer_line
from harness.hardware import Machine, describe_gpu
from harness.locations import PACKAGE
from harness.nvml import read_devices

MACHINE: TypeAdapter[Machine] = TypeAdapter(Machine)
LONGEST_ANSWER = 64 << 20
"""Characters; the record of an hour of training is below 1 MiB."""
_TAIL = 2000
_GRACE_S = 10.0


def describe() -> str:
    """Return the machine as JSON, with every GPU: a cluster hides those that it has not handed out."""
    gpus = tuple(describe_gpu(device) for device in read_devices(environ={}))
    return MACHINE.dump_json(Machine(cpu=read_cpu(), gpus=gpus)).decode()


def answers(order: str) -> Iterator[str]:
    """Run an order; yield each answer, the last of which is a record or a refusal.

    However this process ends, the end of the pipe ends the run.
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "harness.dispatch.cluster.node_run"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": _python_path()},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield from _exchange(order, process.stdin, process.stdout)
        finally:
            process.stdin.close()
            try:
                process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.returncode:
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - _TAIL))
            said = errors.read().decode(errors="replace").strip()
            yield answer_line(
                "refused", f"the harness ended with exit code {process.returncode}: {said}"
            )


def _exchange(order: str, stdin: IO[bytes], stdout: IO[bytes]) -> Iterator[str]:
    try:
        stdin.write(order.encode() + b"\n")
        stdin.flush()
    except BrokenPipeError:
        return
    while line := stdout.readline(LONGEST_ANSWER + 1):
        if len(line) > LONGEST_ANSWER:
            yield answer_line("refused", f"an answer of more than {LONGEST_ANSWER >> 20} MiB")
            return
        yield line.decode()


def _python_path() -> str:
    # The driver's harness, which the cluster unpacked, before any that is installed here.
    root, given = str(Path(PACKAGE).parent), os.environ.get("PYTHONPATH", "")
    return os.pathsep.join(part for part in (root, given) if part)
