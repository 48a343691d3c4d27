"""The environment of a payload process."""

from pathlib import Path

import pytest

from harness.processes.surroundings import cell_environment


@pytest.mark.parametrize(
    ("users", "uuid", "expected"),
    [
        (None, None, None),
        ("1", None, "1"),
        ("1", "GPU-h100", "GPU-h100"),
        (None, "GPU-t4", "GPU-t4"),
    ],
)
def test_a_cell_sees_its_own_gpu_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    users: str | None,
    uuid: str | None,
    expected: str | None,
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if users is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", users)

    assert cell_environment(tmp_path, 1, uuid).get("CUDA_VISIBLE_DEVICES") == expected


def test_secrets_stay_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")

    assert "HF_TOKEN" not in cell_environment(tmp_path, 1)
