"""Stands in for a stack's interpreter: the real payload process, but for the libraries and the fine-tune.

The harness starts `PYTHON payload job.json` (or `--preload spec.json`). Everything of the payload runs as it is
(its start, its lifeline, its events, its end), only what would import torch and train is replaced. A fault
plugin, if the job has one, is executed in the middle of the training with `step` and `job` at hand.
"""

import runpy
import sys
import time
import types
from pathlib import Path
from typing import Any

STEPS, EVALUATIONS = 12, 4
STEP_S = 0.015


def run(job: Any, events: Any, phases: Any, stack: Any = None) -> list[Any]:
    """Train nothing, and say what a fine-tune says."""
    fault = Path(job.fault_file).read_text(encoding="utf-8") if job.fault_file else ""
    with phases.phase("load"):
        events.emit("replaced", parts=[])
    with phases.phase("train"):
        events.emit("plan", steps=STEPS, epochs=STEPS / 4)
        for step in range(1, STEPS + 1):
            time.sleep(STEP_S)
            exec(compile(fault, "fault", "exec"), {"step": step, "job": job})
            events.emit(
                "step", step=step, epoch=step / 4, loss=9.0 - step / 4, wall_s=STEP_S, tokens=100
            )
            if step % (STEPS // EVALUATIONS) == 0:
                events.emit("evaluation", step=step, epoch=step / 4, eval_loss=8.0 - step / 4)
    return []


def main() -> None:
    """Be a stack's Python for the payload that the command line names."""
    finetune = types.ModuleType("payload.finetune")
    finetune.run = run  # type: ignore[attr-defined]
    stack = types.ModuleType("payload.stack")
    stack.Stack = types.SimpleNamespace  # type: ignore[attr-defined]
    stack.import_stack = lambda *_: types.SimpleNamespace(environment={})  # type: ignore[attr-defined]
    sys.modules |= {"payload.finetune": finetune, "payload.stack": stack}
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
