"""A process as the harness sees and ends it from outside, whatever it says of itself."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event

import psutil
import pytest

from harness.containment.command import OWN_PYTHON
from harness.containment.limits import Limits
from harness.ending import Hit
from harness.events import Events
from harness.processes.channel import Channel
from harness.processes.conditions_watch import ConditionsWatch
from harness.processes.payload import Setting
from harness.processes.tree import kill_users_of, outer_pid, processes_of
from harness.processes.watch import Watch

CHILDREN = "import subprocess, sys, time; [subprocess.Popen(['sleep', '60']) for _ in range(5)]; time.sleep(60)"


@contextmanager
def running(*command: str, home: Path | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    env = {**os.environ, "HOME": str(home)} if home else None
    with subprocess.Popen(command, env=env, start_new_session=True) as process:
        try:
            yield process
        finally:
            for one in processes_of(process.pid):
                one.kill()


def hit(process: "subprocess.Popen[bytes]", folder: Path, **limits: int) -> Hit | None:
    setting = Setting(OWN_PYTHON, folder, 1, replace(Limits.for_model(), **limits))
    with closing(ConditionsWatch()) as conditions:
        events = Events(folder / "events.jsonl")
        watch = Watch(process, setting, events, 1 << 40, lambda _: None, conditions)
        return watch.wait(20.0, Event())


def test_more_processes_than_allowed_end_it(tmp_path: Path) -> None:
    with running(sys.executable, "-c", CHILDREN) as process:
        found = hit(process, tmp_path, processes=4)
    assert found is not None
    assert found.limit == "processes"
    assert "more than 4" in found.text


def test_a_folder_that_grows_past_its_limit_ends_it(tmp_path: Path) -> None:
    act = f"import time; f = open({str(tmp_path / 'many')!r}, 'wb'); f.write(bytes(3 << 20)); f.flush(); time.sleep(60)"
    with running(sys.executable, "-c", act) as process:
        found = hit(process, tmp_path, folder_bytes=2 << 20)
    assert found == Hit("disk", "wrote more than the 0.0 GiB allowed")


def test_an_answer_of_no_known_shape_ends_it(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"event": "exec"}\n')
    with running("sleep", "60") as process:
        found = hit(process, tmp_path)
    assert found is not None
    assert found.limit == "answer"


def test_within_its_limits_it_ends_by_itself(tmp_path: Path) -> None:
    with running("sleep", "0.2") as process:
        assert hit(process, tmp_path) is None


def test_a_number_that_is_not_one_of_its_own_processes_is_nobody(tmp_path: Path) -> None:
    with running("sh", "-c", "sleep 60; true") as process:
        while len(family := processes_of(process.pid)) < 2:
            time.sleep(0.01)
        assert outer_pid(process.pid, family[1].pid) == family[1].pid
        for stranger in (os.getpid(), 1, process.pid, 0, -1):
            assert outer_pid(process.pid, stranger) is None
    assert processes_of(process.pid) == processes_of(None) == []


def test_a_daemon_is_known_by_its_home(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    with running("sleep", "60", home=other) as spared:
        with running("sh", "-c", "setsid sleep 61.25 & exit", home=mine) as process:
            process.wait()
            kill_users_of(mine)
        assert [p for p in psutil.process_iter() if _sleeps(p, "61.25")] == []
        assert spared.poll() is None


def _sleeps(process: psutil.Process, how_long: str) -> bool:
    try:
        return process.cmdline() == ["sleep", how_long]
    except psutil.Error:
        return False


@pytest.mark.parametrize(
    "said", ["no JSON", "[1]", "7", "x" * (2 << 20)], ids=["words", "list", "number", "no end"]
)
def test_what_is_no_answer_ends_the_channel(said: str) -> None:
    end = "" if len(said) > 100 else "\\n"
    act = f"import sys, time; sys.stdout.write({said[:9]!r} * {max(1, len(said) // 9)} + '{end}'); sys.stdout.flush(); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", act], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        channel = Channel(process)
        assert channel.answer(20.0) == {}
        process.kill()
        channel.close()
