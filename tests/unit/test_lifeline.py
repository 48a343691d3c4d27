"""A process that is bound to the harness ends with it, also where the harness died before it could bind itself."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.bound_process import run_bound
from harness.locations import PACKAGE

LIFELINE = [sys.executable, "-I", "-S", str(PACKAGE / "payload" / "lifeline.py")]


def test_it_becomes_the_program_and_reads_nothing() -> None:
    done = run_bound([sys.executable, "-c", "import sys; print(repr(sys.stdin.read())); exit(3)"])
    assert (done.returncode, done.stdout) == (3, "''\n")


def test_it_ends_where_its_parent_died_before_it_began() -> None:
    ours, theirs = os.pipe()
    os.close(theirs)
    try:
        done = subprocess.run([*LIFELINE, "echo", "an orphan"], stdin=ours, capture_output=True)
    finally:
        os.close(ours)
    assert (done.returncode, done.stdout) == (1, b"")


def test_orders_that_wait_to_be_read_are_no_hang_up() -> None:
    ours, theirs = os.pipe()
    try:
        os.write(theirs, b"order\n")
        done = subprocess.run([*LIFELINE, "echo", "lives"], stdin=ours, capture_output=True)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.stdout == b"lives\n"


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_it_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = f"from harness.bound_process import run_bound; run_bound(['sleep', '{60}'])"
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        children: list[psutil.Process] = []
        while not any("sleep" in child.name() for child in children):
            time.sleep(0.01)
            children = psutil.Process(parent.pid).children()
        parent.kill()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not [child for child in alive if child.status() != psutil.STATUS_ZOMBIE]


def test_a_limit_ends_it() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_bound(["sleep", "60"], timeout_s=0.2)
