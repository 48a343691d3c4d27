import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.baselines.baseline import Comparable
from harness.cell_result import CellResult
from harness.conditions import THROTTLING, disturbances
from harness.errors import MissingExtraError
from harness.figures import all_figures
from harness.gate import GateResult
from harness.history.record_query import KEYS, find_runs
from harness.record import (
    ActivationBytes,
    ActivationMemory,
    Conditions,
    Evaluation,
    GpuConditions,
    Phase,
    Record,
    Step,
    write_record,
)
from tests.unit.gate_results import HOSTILE
from tests.unit.records import evaluations, make_record, rows, steps

walls = st.floats(1e-6, 1e6) | st.just(0.0)
tokens = st.integers(0, 1 << 40)
peaks = st.none() | st.integers(0, 1 << 50)
names = st.sampled_from(["import", "load", "data", "train", "eval", HOSTILE])
phases = st.builds(
    Phase, name=names, wall_s=walls, peak_rss=peaks,
    peak_gpu_allocated=peaks, peak_gpu_reserved=peaks,
)  # fmt: skip
some_steps = st.lists(
    st.builds(Step, step=st.just(1), epoch=st.just(1.0), loss=st.none(), wall_s=walls, tokens=tokens),
    max_size=45,
)  # fmt: skip
some_evaluations = st.lists(
    st.builds(
        Evaluation, step=st.just(1), epoch=st.just(1.0), wall_s=walls, tokens=tokens,
        eval_loss=st.none() | st.floats(),
    ),
    max_size=6,
)  # fmt: skip
activation_memory = st.builds(
    ActivationMemory,
    layers=st.just(2), heads=st.just(2), hidden_size=st.just(8), vocab_size=st.just(100),
    without_loss=st.booleans(),
    points=st.lists(
        st.builds(ActivationBytes, tokens=st.just(1), kept=st.integers(0, 1 << 40),
                  kept_logits=st.just(0), peak_gpu_allocated=peaks), max_size=4,
    ).map(lambda points: [p.model_copy(update={"tokens": 32 << n}) for n, p in enumerate(points)]),
)  # fmt: skip
shares = st.none() | st.floats(0, 0.1)
conditions = st.builds(
    Conditions,
    phase=names,
    cpu_steal=shares,
    cpu_others=shares,
    gpu=st.none()
    | st.builds(
        GpuConditions,
        samples=st.integers(1, 30),
        throttled=st.dictionaries(st.sampled_from([*THROTTLING, "idle"]), st.integers(0, 3)),
        foreign_processes=st.integers(0, 1),
    ),
)
records = st.builds(
    make_record,
    conditions=st.lists(conditions, max_size=3),
    probe=st.fixed_dictionaries({"activation_memory": st.none() | activation_memory}),
    steps=some_steps,
    evaluations=some_evaluations,
    phases=st.lists(phases, max_size=8),
    preloaded=st.booleans(),
    rows=st.sampled_from([{"train": rows(40, 3)}, {"train": rows(0, 0)}]),
    hardware=st.fixed_dictionaries(
        {
            "device": st.text(),
            "cores": st.none() | st.integers(1, 64),
            "driver": st.none() | st.text(),
            "max_sm_clock_mhz": st.none() | st.integers(1, 3000),
        }
    ),
)


def keep(reports: Path, *given: Record) -> None:
    for number, record in enumerate(given):
        record = record.model_copy(update={"key": f"{number:03}"})
        write_record(record, reports / "records" / "cell" / f"{number:03}.json")


@settings(max_examples=25, deadline=None)
@given(st.lists(records, min_size=1, max_size=20))
def test_figures_in_sql_are_those_of_python(given: list[Record]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        keep(Path(folder), *given)
        found = find_runs(Path(folder))

    assert found.unreadable == []
    runs = sorted(found.runs, key=lambda run: run.key)
    assert [run.setting.comparable for run in runs] == [Comparable.of(r) for r in given]
    for run, record in zip(runs, given, strict=True):
        expected = all_figures(record)
        ours = {k: v for k, v in run.figures.items() if k != "eval_loss"}
        # Of the last of six digits: SQL's median interpolates, Python's adds and halves.
        assert ours == pytest.approx(expected, rel=1.1e-5)
        assert set(run.disturbed) == {
            seen.phase for seen in record.conditions if disturbances(record, [seen.phase])
        }
        last = record.evaluations[-1].eval_loss if record.evaluations else None
        assert run.figures.get("eval_loss") == pytest.approx(last, nan_ok=True)


def test_of_a_healthy_run_every_figure_is_there(tmp_path: Path) -> None:
    keep(tmp_path, make_record())

    figures = find_runs(tmp_path).runs[0].figures

    assert figures.keys() >= all_figures(make_record()).keys()
    assert figures["eval_loss"] == 4.27
    assert figures["samples_per_s"] == pytest.approx(figures["steps_per_s"] * 4, rel=1e-5)
    assert figures["eval_s"] == 0.12
    assert figures["time_to_first_step_s"] == pytest.approx(7.0 + 0.6 + 0.4 + 0.4)


def test_every_key_that_makes_runs_comparable_is_read() -> None:
    assert set(Comparable.model_fields) == set(KEYS)


def test_a_run_is_found_in_the_result_of_its_gate_too_and_counts_once(tmp_path: Path) -> None:
    newest = make_record(started_at="2026-10-21T12:00:00+00:00")
    replaced, repeat = make_record(), make_record(repeat=1)
    write_record(newest, tmp_path / "records" / "cell" / "key.json")
    for number, record in enumerate((replaced, newest)):
        cell = CellResult(record=record, repeats=[repeat], verdicts=[])
        result = GateResult(
            command="", started_at="", duration_s=0.0, harness_version="0", cells=[cell]
        )
        path = tmp_path / "runs" / str(number) / "result.json"
        path.parent.mkdir(parents=True)
        path.write_text(result.model_dump_json())

    found = find_runs(tmp_path)

    moments = sorted((run.started_at[:10], run.repeat) for run in found.runs)
    assert moments == [("2026-10-20", 0), ("2026-10-20", 1), ("2026-10-21", 0)]
    assert found.unreadable == []


def test_figures_are_read_as_strict_json_and_as_the_bare_words_of_before(tmp_path: Path) -> None:
    record = make_record(steps=steps(8), evaluations=evaluations(4.0, -math.inf))
    written = [record.model_dump_json(), json.dumps(record.model_dump(mode="json"))]
    assert '"-Infinity"' in written[0]
    assert '"-Infinity"' not in written[1]
    for number, text in enumerate(written):
        text = text.replace(record.key, f"key-{number}")
        path = tmp_path / "records" / "cell" / f"{number}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    runs = find_runs(tmp_path).runs

    assert [run.figures["eval_loss"] for run in runs] == [-math.inf, -math.inf]


def broken(**changes: Any) -> bytes:
    return json.dumps({**json.loads(make_record().model_dump_json()), **changes}).encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (make_record().model_dump_json().encode()[:-200], "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"", "is not JSON"),
        (b"null", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1]", "has schema_version none"),
        (b'"x"', "has schema_version none"),
        (broken(schema_version=99), "has schema_version 99"),
        (broken(cell_id=None), "lacks a field"),
        (broken(stack=[]), "lacks a field"),
        (broken(steps={"a": 1}), "has unusable measurements"),
        (broken(steps=[{"wall_s": "x", "tokens": 1}]), "has unusable measurements"),
        (broken(steps=[None]), "has unusable measurements"),
        (broken(phases=[{"name": "train"}]), "has unusable measurements"),
    ],
)
def test_a_broken_file_is_skipped_with_its_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    keep(tmp_path, make_record())
    (tmp_path / "records" / "cell" / "broken.json").write_bytes(content)

    found = find_runs(tmp_path)

    assert [run.key for run in found.runs] == ["000"]
    ((file, why),) = found.unreadable
    assert file.endswith("broken.json")
    assert reason in why


def test_a_broken_result_is_skipped_with_its_reason(tmp_path: Path) -> None:
    for name, text in (("a", "{"), ("b", "{}"), ("c", '{"cells": [{}]}'), ("d", '{"cells": []}')):
        path = tmp_path / "runs" / name / "result.json"
        path.parent.mkdir(parents=True)
        path.write_text(text)

    found = find_runs(tmp_path)

    assert [Path(file).parent.name for file, _ in sorted(found.unreadable)] == ["a", "b", "c"]


def test_odd_names_are_names_and_not_patterns(tmp_path: Path) -> None:
    odd = tmp_path / "re*[ports]?"
    keep(odd, make_record())
    (odd / "records" / "cell" / "[a]*.json").write_text("{")
    (odd / "records" / "cell" / "folder.json").mkdir()
    (odd / "records" / "cell" / "dangling.json").symlink_to(odd / "nowhere")
    keep(tmp_path / "re*portsX", make_record())

    found = find_runs(odd)

    assert len(found.runs) == 1
    assert sorted((Path(file).name, why[:13]) for file, why in found.unreadable) == [
        ("[a]*.json", "is not JSON, "),
        ("dangling.json", "is not a read"),
        ("folder.json", "is not a read"),
    ]


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    record = make_record(cell_id=HOSTILE, steps=steps(8), evaluations=evaluations(math.nan))
    keep(tmp_path, record.model_copy(update={"status": "COMPLETED"}))

    (run,) = find_runs(tmp_path).runs

    assert run.setting.cell_id == HOSTILE
    assert math.isnan(run.figures["eval_loss"])


def test_an_empty_folder_has_no_runs(tmp_path: Path) -> None:
    assert find_runs(tmp_path / "none").runs == []


def test_without_duckdb_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)

    with pytest.raises(
        MissingExtraError, match=r"duckdb is not installed.*uv sync --extra history"
    ):
        find_runs(tmp_path)
