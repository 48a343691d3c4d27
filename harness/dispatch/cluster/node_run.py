"""One order in a process of its own: prepare, build, train. `python -m harness.dispatch.cluster.node_run`.

The order is the first line of standard input, answers are lines of standard output. The end of standard
input says that nobody waits any more, by whatever death: the payload is killed and nothing is left.
"""

import os
import sys
from threading import Event, Lock, Thread
from typing import Any

from harness.abandoned import remove_folders, work_folder
from harness.containment.choice import VARIABLE, choose
from harness.dispatch.cluster.order import Kind, Order, answer_line
from harness.errors import HarnessError
from harness.experiment import build_inputs, prepare
from harness.hardware import detect
from harness.processes.process import run_process
from harness.processes.watch import InterruptedRun
from harness.stacks import kept_locks

_SHOWN = ("phase", "plan", "step", "evaluation")
"""Events that `harness.progress` shows; the others are in the record."""


class _Answers:
    """The other end's lines, from any thread. What a library prints goes to standard error."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._lock = Lock()

    def send(self, kind: Kind, content: Any = None) -> None:
        with self._lock:
            try:
                self._out.write(answer_line(kind, content))
                self._out.flush()
            except BrokenPipeError:
                pass  # Nobody listens; the end of standard input ends the run.


def main() -> None:
    """Run the order."""
    answers, cancel = _Answers(), Event()
    order = Order.model_validate_json(sys.stdin.readline())
    Thread(target=_until_nobody_waits, args=(cancel,), daemon=True).start()
    try:
        _run(order, answers, cancel)
    except InterruptedRun:
        pass
    except (HarnessError, OSError) as error:
        answers.send("refused", f"{type(error).__name__}: {error}")


def _until_nobody_waits(cancel: Event) -> None:
    while os.read(0, 4096):
        pass
    cancel.set()


def _run(order: Order, answers: _Answers, cancel: Event) -> None:
    remove_folders()
    if order.folder.is_dir():
        os.chdir(order.folder)
    if order.lock is not None:
        kept_locks.keep(order.lock)
    if order.containment:
        os.environ[VARIABLE] = order.containment
    machine = detect()
    experiment = prepare(
        order.cell,
        order,
        machine,
        parallel_cells=order.parallel_cells,
        fault=order.fault,
        extras=frozenset(order.extras),
    )
    if experiment.key != order.key:
        answers.send(
            "refused",
            f"this node would run another experiment ({experiment.key}, not {order.key}): its stack "
            f"{experiment.stack.digest}, model {experiment.model_dir}, data or device "
            f"{experiment.target.device} is not what the driver sees. Models, data and faults must be "
            "the same files under the same path on every node.",
        )
        return
    choose(on_gpu=experiment.target.on_gpu)
    python = build_inputs(experiment, lambda message: answers.send("say", message))
    answers.send("built")

    def event(said: dict[str, Any]) -> None:
        if said["event"] in _SHOWN:
            answers.send("event", said)

    with work_folder("order") as folder:
        record = run_process(
            experiment,
            machine,
            order.repeat,
            python,
            order.memory_bytes,
            event,
            cancel,
            folder / "first_step.safetensors",
        )
    answers.send("record", record.model_dump_json())


if __name__ == "__main__":
    main()
