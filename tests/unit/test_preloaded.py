"""The dispatcher's side of preloaded processes, with a stand-in for a stack's interpreter."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import psutil
import pytest

from harness.containment.command import OWN_PYTHON
from harness.experiment import Experiment
from harness.plan import Options, Plan
from harness.processes.preloaded import CannotPreload, Preloaded, PreloadedPool
from harness.processes.process import run_process

# What `python payload --preload spec.json` does, but for the stack: its cells run `job.py`.
STAND_IN = f"""#!{OWN_PYTHON}
import json, os, sys, time
spec = json.load(open(sys.argv[3]))
orders, answers = os.dup(0), os.dup(1)
def say(**answer):
    os.write(answers, json.dumps(answer).encode() + b"\\n")
open("imported.txt", "w").write("by the import")
say(unsafe=os.environ.get("LANG", "") if os.environ.get("LANG", "").startswith("unsafe") else "")
for line in os.fdopen(orders, "rb", 0):
    order = json.loads(line)
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        exec(open(order["job"]).read())
        os._exit(0)
    say(pid=pid)
    say(exit=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.fixture
def python(tmp_path: Path) -> Path:
    path = tmp_path / "python"
    path.write_text(STAND_IN)
    path.chmod(0o755)
    return path


@pytest.fixture
def experiment() -> Experiment:
    plan = Plan(Options())
    return plan.once(plan.matrix.cell("reference-2026.10.9/cpu/float32/ragged")).experiment


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def pool(said: list[str]) -> Iterator[PreloadedPool]:
    made = PreloadedPool(said.append)
    yield made
    made.close()


def job(process: Preloaded, code: str) -> Path:
    path = process.setting.work_dir / "job.py"
    path.write_text(code)
    return path


def run(pool: PreloadedPool, experiment: Experiment, python: Path, code: str) -> tuple[int, str]:
    with pool.lend(experiment, python, Event()) as process:
        child = process.start(job(process, code), process.setting.work_dir / "output.txt")
        return child.wait(), " ".join(sorted(p.name for p in process.setting.work_dir.iterdir()))


def test_each_cell_finds_the_folder_as_the_import_left_it(
    pool: PreloadedPool, experiment: Experiment, python: Path
) -> None:
    first = run(pool, experiment, python, "open('left', 'w'); os.remove('imported.txt')")
    second = run(pool, experiment, python, "open('imported.txt').read()")
    assert "left" in first[1]
    assert "left" not in second[1]
    assert second[0] == 0


def test_one_import_serves_every_cell(
    pool: PreloadedPool, experiment: Experiment, python: Path
) -> None:
    parents = []
    for _ in range(2):
        with pool.lend(experiment, python, Event()) as process:
            code = "open('parent', 'w').write(str(os.getppid()))"
            process.start(job(process, code), process.setting.work_dir / "output.txt").wait()
            parents.append((process.setting.work_dir / "parent").read_text())
    assert parents[0] == parents[1]


def test_it_outlives_the_thread_that_started_it(
    pool: PreloadedPool, experiment: Experiment, python: Path
) -> None:
    def start() -> None:
        with pool.lend(experiment, python, Event()):
            pass

    thread = Thread(target=start)
    thread.start()
    thread.join()
    time.sleep(0.1)
    assert run(pool, experiment, python, "pass")[0] == 0


def test_a_cell_that_is_killed_ends_by_its_signal_and_its_parent_goes_on(
    pool: PreloadedPool, experiment: Experiment, python: Path
) -> None:
    with pool.lend(experiment, python, Event()) as process:
        child = process.start(
            job(process, "time.sleep(60)"), process.setting.work_dir / "output.txt"
        )
        assert child.poll() is None
        assert child.pid is not None
        while os.getpgid(child.pid) != child.pid:
            time.sleep(0.01)
        os.killpg(child.pid, signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    assert run(pool, experiment, python, "os._exit(7)")[0] == 7


def test_a_parent_that_dies_takes_its_cell_and_is_replaced(
    pool: PreloadedPool, experiment: Experiment, python: Path
) -> None:
    with pool.lend(experiment, python, Event()) as process:
        # Not before the parent has said its pid.
        code = "time.sleep(0.3); os.kill(os.getppid(), 9); os._exit(0)"
        child = process.start(job(process, code), process.setting.work_dir / "output.txt")
        assert child.wait() == -signal.SIGKILL
        folder = process.setting.work_dir
    assert not folder.exists()
    assert run(pool, experiment, python, "pass")[0] == 0


def test_a_stack_that_cannot_be_forked_is_said_once(
    pool: PreloadedPool,
    experiment: Experiment,
    python: Path,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LANG", "unsafe: the import left threads")
    for _ in range(2):
        with pytest.raises(CannotPreload, match="left threads"):
            run(pool, experiment, python, "pass")
    assert len(said) == 1
    assert "reference-2026.10.9: each cell imports it anew" in said[0]


def test_a_stack_that_does_not_import_is_no_preloaded_one(
    pool: PreloadedPool, experiment: Experiment, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(CannotPreload, match="does not import"):
        run(pool, experiment, broken, "pass")


def test_a_cell_whose_parent_is_gone_runs_in_a_fresh_process(
    pool: PreloadedPool, python: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def gone(self: Preloaded, job_file: Path, output: Path) -> None:
        self.is_alive = False
        raise CannotPreload("the process that imported it died")

    monkeypatch.setattr(Preloaded, "start", gone)
    plan = Plan(Options(preloaded=True))
    asked = plan.once(plan.matrix.cell("reference-2026.10.9/cpu/float32/ragged")).experiment
    record = run_process(
        asked, plan.machine, 0, python, 2**40, lambda _: None, Event(), tmp_path / "f", pool
    )
    # The stand-in is no payload: what counts is that a fresh one was tried.
    assert (record.status, record.preloaded) == ("CRASHED", False)


def test_closing_leaves_no_process_and_no_folder(
    pool: PreloadedPool, experiment: Experiment, python: Path
) -> None:
    with pool.lend(experiment, python, Event()) as process:
        process.start(job(process, "pass"), process.setting.work_dir / "output.txt").wait()
        folder = process.setting.folder
        started = psutil.Process().children(recursive=True)
    assert started
    pool.close()
    assert not any(child.is_running() for child in started)
    assert not folder.exists()


def test_a_process_that_names_another_one_as_its_cell_kills_nobody(
    pool: PreloadedPool, experiment: Experiment, tmp_path: Path
) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as victim:
        liar = tmp_path / "liar"
        liar.write_text(STAND_IN.replace("say(pid=pid)", f"say(pid={victim.pid})"))
        liar.chmod(0o755)
        with pool.lend(experiment, liar, Event()) as process:
            child = process.start(job(process, "pass"), process.setting.work_dir / "output.txt")
            assert child.pid is None
            assert child.end() == 0
        assert victim.poll() is None
        victim.kill()


def test_preloading_is_another_experiment_and_never_with_a_gpu() -> None:
    fresh, preloaded = Plan(Options()), Plan(Options(preloaded=True))
    cell = fresh.matrix.cell("reference-2026.10.9/cpu/float32/ragged")
    assert fresh.once(cell).experiment.key != preloaded.once(cell).experiment.key
    assert preloaded.once(cell).experiment.preloaded
    assert json.dumps(preloaded.once(cell).experiment.target.for_payload())
