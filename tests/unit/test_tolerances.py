from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.tolerances import derived, load

ENTRY = """
[[tolerance]]
of = "reported_loss"
quantity = "loss of step 1"
dtype = "float32"
relative = 1e-6
largest = 1.7e-7
runs = 24
measured = "2026-11-24, by hand"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "tolerances.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_entry_is_found_by_all_three_keys(tmp_path: Path) -> None:
    tolerances = load(write(tmp_path, ENTRY))

    found = tolerances.find("reported_loss", "loss of step 1", "float32")
    assert found is not None
    assert found.relative == 1e-6
    assert tolerances.find("reported_loss", "loss of step 1", "bfloat16") is None
    assert tolerances.find("reported_loss", "eval_loss", "float32") is None
    assert tolerances.find("another", "loss of step 1", "float32") is None


def test_the_edge_is_allowed_and_nan_is_not(tmp_path: Path) -> None:
    (tolerance,) = load(write(tmp_path, ENTRY)).entries

    assert tolerance.allows(1e-6)
    assert not tolerance.allows(1.1e-6)
    assert not tolerance.allows(float("nan"))


def test_an_empty_file_allows_nothing(tmp_path: Path) -> None:
    assert load(write(tmp_path, "")).find("reported_loss", "loss of step 1", "float32") is None


def test_the_shipped_file_is_valid() -> None:
    load()


@pytest.mark.parametrize(
    ("largest", "runs", "tolerance"),
    [
        (0.0, 10, 0.0),
        (0.0, 9, 1e-7),  # so few may be equal by chance
        (1e-9, 20, 1e-7),  # one rounding of float32
        (1.7e-7, 20, 1e-6),
        (2e-7, 20, 1e-6),
        (2.1e-7, 20, 2e-6),
        (4.1e-7, 20, 5e-6),
        (1.1e-6, 20, 1e-5),
        (0.01, 20, 0.05),
    ],
)
def test_five_times_the_largest_rounded_up(largest: float, runs: int, tolerance: float) -> None:
    assert derived(largest, runs) == tolerance


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ENTRY.replace("1e-6", "1e-5"), "relative is 1e-05, from largest it is 1e-06"),
        (ENTRY + ENTRY, "more than one tolerance of reported_loss / loss of step 1 / float32"),
        (ENTRY.replace("runs = 24", "runs = 0"), "tolerance.0.runs = 0"),
        (ENTRY.replace('"float32"', '"float8"'), "tolerance.0.dtype = 'float8'"),
        (ENTRY + "because = 1\n", "tolerance.0.because"),
        ("[[tolerance]\n", "is not TOML"),
    ],
)
def test_an_unusable_file_says_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*gone\.toml"):
        load(tmp_path / "gone.toml")
