"""The dispatcher's side of a paced process, with a stand-in for a stack's interpreter."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from harness.containment.command import OWN_PYTHON
from harness.errors import PacedRunError
from harness.experiment import Experiment
from harness.locations import PACKAGE
from harness.plan import Options, Plan
from harness.processes.channel import Channel
from harness.processes.paced import Paced

# What `python payload job.json` does with a paced job, but for the stack: `{act}` happens in step 3.
STAND_IN = f"""#!{OWN_PYTHON}
import importlib.util, json, os, sys, time
from pathlib import Path
spec = importlib.util.spec_from_file_location("channel", sys.argv[1] + "/channel.py")
channel = importlib.util.module_from_spec(spec)
spec.loader.exec_module(channel)
job = json.loads(Path(sys.argv[2]).read_text())
assert job["paced"]
channel = channel.Channel(Path(job["work_dir"]) / "output.txt")
print("what a library prints", flush=True)
channel.say(ready=True)
step = 0
while (order := channel.order()) is not None:
    step += order["steps"]
    if step >= 3:
        ACT
    channel.say(
        steps_s=[0.1 + order["level"]] * order["steps"],
        evaluation_s=float(len(os.sched_getaffinity(0))) if order["evaluate"] else None,
    )
"""

Start = Callable[..., Paced]


@pytest.fixture
def experiment() -> Experiment:
    plan = Plan(Options(timeout_s=1.0))
    return plan.once(plan.matrix.cell("reference-2026.10.9/cpu/float32/ragged")).experiment


@pytest.fixture
def start(tmp_path: Path, experiment: Experiment) -> Start:
    def started(act: str = "pass", cores: tuple[int, ...] = (), text: str = STAND_IN) -> Paced:
        path = tmp_path / "python"
        path.write_text(text.replace("ACT", act))
        path.chmod(0o755)
        return Paced(experiment, path, cores)

    return started


def test_orders_are_answered_one_by_one(start: Start) -> None:
    with start() as side:
        assert side.start_s > 0
        assert side.order(2).steps_s == (0.1, 0.1)
        assert side.order(1, level=0.5).steps_s == (0.6,)
        assert side.order(evaluate=True).evaluation_s is not None


def test_it_stays_on_the_cores_it_is_given(start: Start) -> None:
    core = max(os.sched_getaffinity(0))
    with start(cores=(core,)) as side:
        assert side.order(evaluate=True).evaluation_s == 1.0


def test_an_order_of_nothing_is_refused(start: Start) -> None:
    with start() as side, pytest.raises(ValueError, match="nothing"):
        side.order()


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (
            "sys.exit('the stack is broken')",
            r"ended during a step.*\n.*prints\nthe stack is broken",
        ),
        ("time.sleep(60)", "no answer to a step after 1 s"),
    ],
)
def test_a_process_that_fails_is_named_with_its_last_output(
    start: Start, act: str, says: str
) -> None:
    with start(act) as side:
        side.order(2)
        with pytest.raises(PacedRunError, match=f"(?s)reference-2026.10.9.*{says}"):
            side.order(1)


def test_a_process_that_died_between_two_orders_is_named(start: Start) -> None:
    with start("channel.say(steps_s=[0.1], evaluation_s=None); os._exit(3)") as side:
        side.order(3)
        time.sleep(0.3)
        with pytest.raises(PacedRunError, match="ended"):
            side.order(1)


def test_a_process_that_does_not_start_leaves_nothing_behind(start: Start) -> None:
    with pytest.raises(PacedRunError, match=r"(?s)ended during its start.*no such library"):
        start(text="#!/bin/sh\necho no such library >&2\nexit 3\n")
    assert not psutil.Process().children()


def test_closing_ends_the_process_and_removes_its_folder(start: Start) -> None:
    with start():
        (child,) = psutil.Process().children()
        folder = Path(child.cwd())
    assert not folder.exists()
    assert not child.is_running()


def test_the_channel_carries_lines_and_ends_with_them() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(PACKAGE / 'payload')!r})\n"
        "from pathlib import Path; from channel import Channel\n"
        "channel = Channel(Path('/dev/null'))\n"
        "while (order := channel.order()) is not None: channel.say(got=order)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        channel = Channel(process)
        for text in ("a\nb", "ü"):
            channel.order(text=text)
            assert channel.answer(10) == {"got": {"text": text}}
        assert channel.answer(0.01) is None
        channel.close()
        assert process.wait(10) == 0
