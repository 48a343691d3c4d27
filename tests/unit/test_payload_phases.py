"""Each stretch has the peaks of its own time, and no other's."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.payload import phases as module
from harness.payload.events import EventLog
from harness.payload.phases import Phases


class Process:
    """A process whose memory is what a test says, with one high-water mark as Linux keeps it."""

    def __init__(self) -> None:
        self.used = self.highest = 0

    def use(self, used: int) -> None:
        self.used = used
        self.highest = max(self.highest, used)

    def reset_peaks(self) -> None:
        self.highest = self.used

    def peaks(self) -> dict[str, int | None]:
        return {"peak_rss": self.highest, "peak_gpu_allocated": None}


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Process:
    fake = Process()
    monkeypatch.setattr(module, "reset_peaks", fake.reset_peaks)
    monkeypatch.setattr(module, "peaks", fake.peaks)
    return fake


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def measured(log: Path) -> dict[str, dict[str, Any]]:
    events = [json.loads(line) for line in log.read_text().splitlines()]
    return {event["name"]: event for event in events if event["event"] == "phase_end"}


def test_a_phase_has_its_own_peak(process: Process, log: Path) -> None:
    phases = Phases(EventLog(str(log)))
    with phases.phase("load"):
        process.use(900)
        process.use(300)
    with phases.phase("data"):
        process.use(310)

    assert measured(log)["load"]["peak_rss"] == 900
    assert measured(log)["data"]["peak_rss"] == 310
    assert "peak_gpu_allocated" not in measured(log)["data"]


def test_evaluations_within_training_are_one_phase_of_their_own(
    process: Process, log: Path
) -> None:
    phases = Phases(EventLog(str(log)))
    with phases.phase("train"):
        for training, evaluation in ((500, 700), (520, 650), (510, 640)):
            process.use(training)
            process.use(300)
            with phases.within("eval"):
                process.use(evaluation)
                process.use(300)

    found = measured(log)
    assert list(found) == ["train", "eval"]
    assert found["train"]["peak_rss"] == 520
    assert found["eval"]["peak_rss"] == 700
    assert found["train"]["wall_s"] > found["eval"]["wall_s"] > 0
    assert phases.current == "train"


def test_what_is_done_aside_is_in_no_peak(process: Process, log: Path) -> None:
    phases = Phases(EventLog(str(log)))
    with phases.phase("train"), phases.within("eval"):
        process.use(400)
        with phases.aside():
            process.use(5000)
            process.use(350)
        process.use(380)

    assert measured(log)["eval"]["peak_rss"] == 400
    assert measured(log)["train"]["peak_rss"] < 400


def test_what_is_done_aside_is_in_no_time(
    process: Process, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 10))  # every look at it is ten seconds later
    monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))
    phases = Phases(EventLog(str(log)))
    # train from 0 to 50, eval from 10 to 40, aside from 20 to 30
    with phases.phase("train"), phases.within("eval"), phases.aside():
        pass

    assert phases.aside_s == 10
    assert measured(log)["eval"]["wall_s"] == 20
    assert measured(log)["train"]["wall_s"] == 40


def test_a_phase_that_raises_is_not_measured(process: Process, log: Path) -> None:
    phases = Phases(EventLog(str(log)))
    with pytest.raises(OSError, match="full"), phases.phase("save"):
        raise OSError("full")

    assert measured(log) == {}
    assert phases.current == "save"
