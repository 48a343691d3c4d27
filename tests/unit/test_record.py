import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import CorruptRecordError, StorageError
from harness.record import Record, read_record, write_record
from tests.unit.records import NAN, make_record


def test_round_trip(tmp_path: Path) -> None:
    record = make_record()
    path = tmp_path / "runs" / "one" / "record.json"
    write_record(record, path)

    assert read_record(path) == record
    assert [p.name for p in path.parent.iterdir()] == ["record.json"]


def test_non_finite_figures_survive(tmp_path: Path) -> None:
    record = make_record(
        evaluations=[NAN, math.inf, -math.inf, None],
        steps={"grad_norm": NAN},
        precision={"max_abs_activation": {"layers.0": math.inf}},
    )
    write_record(record, tmp_path / "record.json")
    back = read_record(tmp_path / "record.json")

    assert math.isnan(back.eval_losses[0])
    assert back.eval_losses[1:3] == [math.inf, -math.inf]
    assert back.evaluations[3].eval_loss is None
    assert math.isnan(back.eval_losses[3])
    assert all(s.grad_norm is not None and math.isnan(s.grad_norm) for s in back.steps)
    assert back.precision.max_abs_activation == {"layers.0": math.inf}


@given(st.lists(st.none() | st.floats(), max_size=6))
def test_property_every_float_survives_to_the_bit(losses: list[float | None]) -> None:
    record = make_record(evaluations=losses)
    back = Record.model_validate(json.loads(record.model_dump_json()))

    assert [repr(e.eval_loss) for e in back.evaluations] == [repr(loss) for loss in losses]


@pytest.mark.parametrize("keep", [0, 1, 100, -10])
def test_truncated_file_is_refused_with_advice(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "record.json"
    write_record(make_record(), path)
    path.write_bytes(path.read_bytes()[:keep])

    with pytest.raises(CorruptRecordError, match=r"record\.json is not a readable record.*again"):
        read_record(path)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"not json", b"\x00" * 64])
def test_file_that_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(content)

    with pytest.raises(CorruptRecordError):
        read_record(path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptRecordError, match="nowhere"):
        read_record(tmp_path / "nowhere.json")


@pytest.mark.parametrize("version", [2, 0, "1", None])
def test_other_schema_version_is_refused_by_number(tmp_path: Path, version: Any) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps({**make_record().model_dump(), "schema_version": version}))

    with pytest.raises(CorruptRecordError, match=f"schema_version {version!r}; this harness"):
        read_record(path)


@pytest.mark.parametrize("data", [[], {}, "text", 3, None])
def test_json_that_is_no_record_is_refused(tmp_path: Path, data: Any) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(data))

    with pytest.raises(CorruptRecordError, match="schema_version None"):
        read_record(path)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"status": "FINE"}, "status"),
        ({"unheard_of": 1}, "unheard_of"),
        ({"steps": [{"step": "first"}]}, "steps.0"),
        ({"hardware": {}}, "hardware.name"),
    ],
)
def test_invalid_field_is_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], where: str
) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps({**make_record().model_dump(), **changes}))

    with pytest.raises(CorruptRecordError, match=where):
        read_record(path)


@pytest.mark.parametrize(("owner", "call"), [(os, "fsync"), (Path, "replace")])
def test_full_disk_keeps_the_old_record_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, call: str
) -> None:
    path = tmp_path / "record.json"
    write_record(make_record(), path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(owner, call, full)
    with pytest.raises(StorageError, match="No space left on device") as caught:
        write_record(make_record(status="CRASHED"), path)
    assert caught.value.exit_code == 18
    assert read_record(path) == make_record()
    assert [p.name for p in tmp_path.iterdir()] == ["record.json"]


def test_folder_that_is_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("")

    with pytest.raises(StorageError, match="cannot write"):
        write_record(make_record(), tmp_path / "reports" / "record.json")


@pytest.mark.parametrize(("first_step", "extras"), [(True, ["first_step"]), (False, [])])
def test_the_field_that_extras_replaced_is_still_read(
    tmp_path: Path, first_step: bool, extras: list[str]
) -> None:
    data = {**make_record().model_dump(mode="json", exclude={"extras"}), "first_step": first_step}
    (tmp_path / "record.json").write_text(json.dumps(data))
    assert read_record(tmp_path / "record.json").extras == extras
