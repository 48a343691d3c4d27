import json
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from harness.collect import read_events

EVENTS = [{"event": "step", "step": number, "text": "ò\n"} for number in range(4)]
DATA = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in EVENTS).encode()


@given(st.lists(st.integers(0, len(DATA))))
def test_reading_while_it_is_written_sees_every_event_once(
    cuts: list[int],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        seen, position = read_events(path)
        for cut in [*sorted(cuts), len(DATA)]:
            path.write_bytes(DATA[:cut])
            new, position = read_events(path, position)
            seen += new
    assert seen == EVENTS


def test_a_line_cut_short_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(DATA[:-3])
    assert read_events(path)[0] == EVENTS[:-1]
