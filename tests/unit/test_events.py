"""A payload's events, well-formed, half-written and hostile."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.events import Events, UnusableEventsError

STEPS: list[dict[str, Any]] = [
    {"event": "step", "step": n, "epoch": 1.0, "loss": 2.5, "wall_s": 0.1, "tokens": 9}
    for n in range(3)
]
EVENTS = [*STEPS, {"event": "replaced", "parts": ["\u00f2"]}]
DATA = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in EVENTS).encode()


@given(st.lists(st.integers(0, len(DATA))))
def test_reading_while_it_is_written_sees_every_event_once(cuts: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        events = Events(path)
        seen = events.read()
        for cut in [*sorted(cuts), len(DATA)]:
            path.write_bytes(DATA[:cut])
            seen += events.read()
    assert seen == events.seen == EVENTS


def test_a_line_cut_short_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(DATA[:-3])
    assert Events(path).read() == EVENTS[:-1]


def test_a_figure_may_be_no_number(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(
        json.dumps({**STEPS[0], "loss": float("nan"), "grad_norm": float("inf")}) + "\n"
    )
    (step,) = Events(path).read()
    assert str((step["loss"], step["grad_norm"])) == "(nan, inf)"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"not JSON", "no JSON"),
        (b"[1, 2]", "no known kind"),
        (b'{"step": 1}', "no known kind"),
        (b'{"event": ["step"]}', "no known kind"),
        (b'{"event": "run_this"}', "'run_this'"),
        (b'{"event": "step", "step": "../../x"}', "'step' is not valid"),
        (json.dumps({**STEPS[0], "script": "x"}).encode(), "script"),
        (b'{"event": "phase", "name": {"a": 1}}', "'phase' is not valid"),
        (b'{"event": "rows", "../../etc": {}}', "'rows' is not valid"),
        (b'{"event": "done", "exit": 0}', "'done' is not valid"),
        (b'{"event": "phase", "name": "\\ud800"}', "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"event": "step", "step": ' + b"9" * 10_000 + b"}", "out of range"),
        (b"\x80\x04\x95", "no JSON"),
    ],
)
def test_what_is_no_event_ends_what_is_believed(tmp_path: Path, line: bytes, says: str) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(DATA + line + b"\n" + DATA)
    events = Events(path)
    with pytest.raises(UnusableEventsError, match=says):
        events.read()
    assert events.seen == EVENTS


def test_nobody_may_answer_without_end(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(DATA)
    assert Events(path, limit=len(DATA)).read() == EVENTS
    with pytest.raises(UnusableEventsError, match="more than"):
        Events(path, limit=len(DATA) - 1).read()


def test_a_link_a_pipe_and_a_folder_are_no_answer(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(DATA)
    (tmp_path / "link").symlink_to("secret")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("link", "pipe", "folder"):
        events = Events(tmp_path / name)
        with pytest.raises(UnusableEventsError):
            events.read()
        assert events.seen == []


def test_what_a_terminal_would_obey_is_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    name = "\x1b[31mtrain\x1b[0m\x1b]0;title\x07"
    path.write_text(json.dumps({"event": "phase", "name": name}) + "\n")
    assert Events(path).read() == [{"event": "phase", "name": "train\ufffd]0;title\ufffd"}]
