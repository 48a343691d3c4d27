from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import CorruptRecordError
from harness.explain.first_step import read
from tests.unit.first_steps import changed, first_step, write

LOSS = "training/loss/loss"
IDS = "training/batch/input_ids"


def test_what_was_written_is_read(tmp_path: Path) -> None:
    step = first_step()
    found = read(write(step, tmp_path / "a.safetensors"))
    assert (found.weights, found.entries) == (step.weights, step.entries)
    assert all(np.array_equal(found.tensors[key], step.tensors[key]) for key in step.tensors)


@pytest.mark.parametrize("part", [0, 4, 100, -10])
def test_a_file_cut_short_is_refused(tmp_path: Path, part: int) -> None:
    path = write(first_step(), tmp_path / "a.safetensors")
    path.write_bytes(path.read_bytes()[:part])
    with pytest.raises(CorruptRecordError, match="is no first step"):
        read(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptRecordError, match="is no first step"):
        read(tmp_path / "a.safetensors")


@pytest.mark.parametrize("about", [{"schema": 2}, {"entries": [{"phase": "generation"}]}])
def test_metadata_of_another_shape_is_refused(tmp_path: Path, about: dict[str, Any]) -> None:
    with pytest.raises(CorruptRecordError, match="is no first step"):
        read(write(first_step(), tmp_path / "a.safetensors", **about))


def test_tensors_that_are_not_listed_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptRecordError, match="not those that it lists"):
        read(write(first_step(), tmp_path / "a.safetensors", entries=[]))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (LOSS, np.zeros(1, np.float64)),
        (LOSS, np.zeros(2**18 + 1, np.float32)),
        (LOSS, np.zeros((1, 1, 1, 1, 1), np.float32)),
        (IDS, np.zeros((2, 5), np.float32)),
        (IDS, np.zeros(10, np.int64)),
        (IDS, np.zeros((2, 6), np.int64)),
    ],
)
def test_tensors_of_another_type_shape_or_size_are_refused(
    tmp_path: Path, key: str, value: Any
) -> None:
    with pytest.raises(CorruptRecordError, match=r"not what is kept of it|has tensors of shapes"):
        read(write(changed(first_step(), key, value), tmp_path / "a.safetensors"))
