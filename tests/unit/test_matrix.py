import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness import plan
from harness.cli.main import app
from harness.errors import ConfigError, HardwareError, SelectionError, UnknownStackError
from harness.hardware import detect
from harness.locations import FIXTURES
from harness.matrix import DEFAULT_MATRIX, Matrix, Overrides, load_matrix, split_releases

MATRIX = """
schema = 1
releases = ["2026.10.8", "2026.10.9"]
[recipes.mild]
[recipes.hot]
model = "fixture:hot"
[scales.tiny]
train_rows = 8
[[cells]]
stacks = ["unsloth"]
since = "2026.10.9"
hardware = ["cpu"]
dtypes = ["float32"]
recipes = ["mild"]
[[cells]]
stacks = ["reference"]
hardware = ["cpu"]
dtypes = ["float32"]
recipes = ["mild"]
[[cells]]
stacks = ["unsloth"]
hardware = ["t4-emulated", "gpu"]
dtypes = ["auto"]
recipes = ["hot"]
[repeat]
cells = ["*/cpu/*"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "matrix.toml"
    path.write_text(MATRIX)
    return path


def ids(matrix: Matrix) -> list[str]:
    return [cell.id for cell in matrix.cells]


def test_releases_expand_and_the_reference_is_that_of_the_newest(file: Path) -> None:
    assert ids(load_matrix(file)) == [
        "unsloth-2026.10.9/cpu/float32/mild",
        "reference-2026.10.9/cpu/float32/mild",
        "unsloth-2026.10.8/t4-emulated/auto/hot",
        "unsloth-2026.10.9/t4-emulated/auto/hot",
    ]


def test_given_releases_take_the_place_of_the_files_in_order(file: Path) -> None:
    over = Overrides(releases=("2026.1.4", "2025.6.8"))
    matrix = load_matrix(file, overrides=over)
    assert matrix.releases == ["2025.6.8", "2026.1.4"]
    assert ids(matrix) == [
        "reference-2026.1.4/cpu/float32/mild",
        "unsloth-2025.6.8/t4-emulated/auto/hot",
        "unsloth-2026.1.4/t4-emulated/auto/hot",
    ]


def test_frontier_comes_last_and_has_no_reference(file: Path) -> None:
    matrix = load_matrix(file, overrides=Overrides(releases=("frontier", "2026.10.9")))
    assert ids(matrix) == [
        "unsloth-2026.10.9/cpu/float32/mild",
        "frontier/cpu/float32/mild",
        "reference-2026.10.9/cpu/float32/mild",
        "unsloth-2026.10.9/t4-emulated/auto/hot",
        "frontier/t4-emulated/auto/hot",
    ]


def test_gpu_stands_for_each_card_of_the_machine(file: Path) -> None:
    over = Overrides(releases=("2026.10.9",))
    assert [c.hardware for c in load_matrix(file, ["t4", "h100"], over).cells[2:]] == [
        "t4-emulated",
        "t4",
        "h100",
    ]


def test_another_card_is_shown_over_each_card_of_the_machine(file: Path) -> None:
    file.write_text(file.read_text().replace('"t4-emulated", "gpu"', '"t4-over-gpu"'))
    over = Overrides(releases=("2026.10.9",))
    cells = load_matrix(file, ["h100", "h200"], over).cells[2:]
    assert [c.hardware for c in cells] == ["t4-over-h100", "t4-over-h200"]
    assert len(load_matrix(file, [], over).cells) == 2


def test_repeats_are_chosen_by_pattern(file: Path) -> None:
    matrix = load_matrix(file)
    assert [matrix.repeats(cell) for cell in matrix.cells] == [2, 2, 1, 1]


@pytest.mark.parametrize("text", ["2025.3.14,2026.10.9", " 2025.3.14, 2026.10.9 ,"])
def test_releases_are_a_comma_separated_list(text: str) -> None:
    assert split_releases(text) == ("2025.3.14", "2026.10.9")


def test_an_unknown_release_names_the_command_that_adds_it(file: Path) -> None:
    with pytest.raises(UnknownStackError, match=r"`harness stack add 2031\.1\.1`"):
        load_matrix(file, overrides=Overrides(releases=("2031.1.1",)))


def test_unknown_scale_and_recipe_are_named(file: Path) -> None:
    with pytest.raises(SelectionError, match="unknown scale 'huge'"):
        load_matrix(file, overrides=Overrides(scale="huge"))
    with pytest.raises(SelectionError, match="unknown recipe 'warm'"):
        load_matrix(file).cell("unsloth-2026.10.9/cpu/float32/warm")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema = 1", "schema = 2", "reads schema 1"),
        ('releases = ["2026.10.8", "2026.10.9"]', "", "releases: Field required"),
        ('recipes = ["hot"]', 'recipes = ["warm"]', "asks for recipe 'warm'"),
        ("[recipes.mild]", "[recipes.mild", "is not TOML"),
    ],
)
def test_a_broken_file_is_refused(file: Path, old: str, new: str, message: str) -> None:
    file.write_text(MATRIX.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        load_matrix(file)


def test_default_matrix_compares_neighbours_on_every_kind_of_hardware() -> None:
    matrix = load_matrix()
    assert DEFAULT_MATRIX.exists()
    assert len(matrix.releases) == 2
    assert {cell.hardware for cell in matrix.cells} == {"cpu", "t4-emulated", "a100-emulated"}


@pytest.mark.parametrize("name", ["gpu.toml", "issue-2032.toml"])
def test_the_gpus_matrices_have_cells_for_a_card(name: str) -> None:
    cells = load_matrix(FIXTURES / name, ["h100"]).cells
    assert {"t4-over-h100"} <= {cell.hardware for cell in cells}


def test_a_matrix_without_a_cell_here_says_what_it_lacks(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(re.sub(r"hardware = \[.*\]", 'hardware = ["gpu"]', file.read_text()))
    monkeypatch.setattr(plan, "detect", lambda: replace(detect(), gpus=()))
    with pytest.raises(SelectionError, match="all of them are for a CUDA GPU"):
        plan.Plan(plan.Options(file)).cells  # noqa: B018 - a property that refuses


def test_a_shipped_matrix_is_named_the_same_without_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_matrix(Path("fixtures/gpu.toml"), ["h100"]).cells
    (tmp_path / "fixtures").mkdir()
    (tmp_path / "fixtures" / "gpu.toml").write_text("schema = 2")
    with pytest.raises(ConfigError, match="releases"):
        load_matrix(Path("fixtures/gpu.toml"))


def test_the_cells_of_a_card_that_is_not_here_are_listed_and_chosen() -> None:
    words = ["cells", "--matrix", str(FIXTURES / "gpu.toml"), "--gpu", "h200", "--cells"]
    done = CliRunner().invoke(app, [*words, "h200/nf4/shape-4b-*"])
    assert len(done.output.split()) == 2 * 3
    assert "unsloth-2026.10.8/h200/nf4/shape-4b-16k" in done.output
    assert CliRunner().invoke(app, [*words, "h200/nf4/shape-9b-*"]).exit_code != 0
    unknown = CliRunner().invoke(app, ["cells", "--gpu", "x9"])
    assert isinstance(unknown.exception, HardwareError)


@pytest.mark.parametrize("size", ["270m", "1b", "4b"])
@pytest.mark.parametrize("length", ["1k", "4k", "16k"])
def test_each_true_shape_has_each_precision_on_two_releases_and_the_reference(
    size: str, length: str
) -> None:
    ids = {cell.id for cell in load_matrix(FIXTURES / "gpu.toml", ["h100"]).cells}
    wanted = {
        f"unsloth-{release}/h100/{dtype}/shape-{size}-{length}"
        for release in ("2026.10.8", "2026.10.9")
        for dtype in ("bfloat16", "float16", "nf4")
    }
    assert {*wanted, f"reference-2026.10.9/h100/bfloat16/shape-{size}-{length}"} <= ids
