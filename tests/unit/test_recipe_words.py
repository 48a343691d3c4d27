import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ConfigError
from harness.matrix import Matrix, load_matrix
from harness.recipe import Recipe, field_words, parse_words
from harness.relation_search import FIELDS

BASE = "reference-2026.10.9/cpu/float32/mild"


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return load_matrix()


def test_fields_behind_a_recipe_are_put_into_it(matrix: Matrix) -> None:
    cell = matrix.cell(f"{BASE}+batch_size=2+lora.r=4+attention=sdpa")
    assert (cell.recipe.batch_size, cell.recipe.lora.r, cell.recipe.attention) == (2, 4, "sdpa")
    assert cell.id == f"{BASE}+attention=sdpa+batch_size=2+lora.r=4"


def test_what_does_not_change_is_not_named(matrix: Matrix) -> None:
    plain = matrix.cell(BASE)
    assert matrix.cell(f"{BASE}+batch_size={plain.recipe.batch_size}") == plain


@pytest.mark.parametrize(
    ("words", "says"),
    [("batch_size", "is not FIELD=VALUE"), ("bach_size=2", "bach_size"), ("batch_size=0", "batch")],
)
def test_word_that_is_no_field_is_refused(matrix: Matrix, words: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        matrix.cell(f"{BASE}+{words}")


def test_nested_and_spelled_out_fields_are_the_same() -> None:
    recipe = Recipe(name="r")
    assert recipe.varied({"lora": {"r": 4}}) == recipe.varied({"lora.r": 4})
    assert field_words({"seed": 1, "lora": {"r": 4}}) == ["seed=1", "lora.r=4"]


@given(st.fixed_dictionaries({}, optional=FIELDS))
def test_the_name_of_a_varied_recipe_gives_it_back(fields: dict[str, object]) -> None:
    recipe = Recipe(name="mild")
    varied = recipe.varied(fields)
    _, *words = varied.name.split("+")
    assert recipe.varied(parse_words(words)) == varied


def test_long_id_is_a_file_name_and_stays_distinct(matrix: Matrix) -> None:
    cells = [matrix.cell(f"{BASE}+instruction={'x' * 300}{n}") for n in (1, 2)]
    assert all(len(cell.slug) < 200 for cell in cells)
    assert cells[0].slug != cells[1].slug
