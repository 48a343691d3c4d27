import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli import main as cli
from harness.errors import ConfigError, SelectionError
from harness.matrix import DEFAULT_MATRIX, Overrides, load_matrix
from harness.runners import Runner, family_id, jobs, read_runners, select

FARM = """\
schema = 1
[runners.cpu]
labels = ["ubuntu-latest"]
[runners.spare]
labels = ["ubuntu-24.04"]
[runners.t4]
labels = ["self-hosted", "linux", "gpu", "t4"]
gpu = "t4"
[runners.h100]
labels = ["self-hosted", "gpu", "h100"]
gpu = "h100"
"""


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    path = tmp_path / "runners.toml"
    path.write_text(FARM)
    return path


def test_the_shipped_runners_take_the_whole_matrix_without_a_gpu() -> None:
    (job,) = jobs(read_runners(), DEFAULT_MATRIX, Overrides())

    assert job.runner.gpu is None
    assert [cell.id for cell in job.cells] == [cell.id for cell in load_matrix().cells]


def test_each_cell_has_one_runner_and_a_gpu_only_its_own(farm: Path) -> None:
    found = {job.name: job for job in jobs(read_runners(farm), DEFAULT_MATRIX, Overrides())}

    assert list(found) == ["cpu", "t4", "h100"], "the spare one has nothing left to do"
    assert {cell.hardware for cell in found["t4"].cells} == {"t4"}
    assert {cell.hardware for cell in found["h100"].cells} == {"h100"}
    ids = [cell.id for job in found.values() for cell in job.cells]
    assert len(ids) == len(set(ids))


def test_patterns_go_to_the_runner_that_has_them(farm: Path) -> None:
    patterns = ["t4/auto/*", "cpu/float32/ragged", "t4-emulated/auto/mild"]

    found = jobs(read_runners(farm), DEFAULT_MATRIX, Overrides(), patterns)

    assert {job.name: job.entry()["cells"] for job in found} == {
        "cpu": "cpu/float32/ragged,t4-emulated/auto/mild",
        "t4": "t4/auto/mild,t4/auto/hot",
    }


@pytest.mark.parametrize("pattern", ["l4/*", "l4/auto/mild"])
def test_a_pattern_that_no_runner_has_is_named(farm: Path, pattern: str) -> None:
    with pytest.raises(SelectionError, match="l4/"):
        jobs(read_runners(farm), DEFAULT_MATRIX, Overrides(), [pattern])


def test_a_selection_takes_every_stack_of_a_cell() -> None:
    matrix = load_matrix()

    chosen = select(matrix, matrix.cells, ["t4-emulated/*", "cpu/float32/ragged"])

    assert {family_id(cell) for cell in chosen} == {
        "t4-emulated/auto/mild",
        "t4-emulated/auto/hot",
        "cpu/float32/ragged",
    }
    assert {cell.stack for cell in chosen} == {f"unsloth-{one}" for one in matrix.releases}
    assert select(matrix, matrix.cells, []) == matrix.cells
    with pytest.raises(SelectionError, match="'t5/\\*'; there are cpu/auto/mild"):
        select(matrix, matrix.cells, ["t5/*"])


def test_the_json_is_a_matrix_of_github_actions(farm: Path) -> None:
    done = CliRunner().invoke(cli.app, ["cells", "--json", "--runners", str(farm)])

    include = json.loads(done.output)["include"]
    assert "\n" not in done.output.strip(), "an output of a step is one line"
    assert {entry["runner"]: entry["runs-on"] for entry in include} == {
        "cpu": ["ubuntu-latest"],
        "t4": ["self-hosted", "linux", "gpu", "t4"],
        "h100": ["self-hosted", "gpu", "h100"],
    }
    assert include[1]["hardware"] == ["t4"]
    assert "t4/nf4/hot" in include[1]["cells"].split(",")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("schema = 2\n[runners.a]\nlabels = ['x']\n", "schema = 2"),
        ("schema = 1\n[runners.a]\nlabels = []\n", "runners.a.labels"),
        ("schema = 1\n[runners.a]\nlabels = ['x']\ncard = 't4'\n", "runners.a.card"),
    ],
)
def test_an_unusable_file_names_the_place(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "runners.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        read_runners(path)


def test_a_runner_is_a_cpu_unless_it_says_otherwise() -> None:
    assert read_runners()["cpu"] == Runner(labels=("ubuntu-latest",))
