import pytest
from typer.testing import CliRunner

from harness.cli import main as cli
from harness.errors import IncompleteError
from harness.explain.explanation import explain
from harness.explain.first_step import FirstStep
from tests.unit.first_steps import LORA, changed, first_step

CELLS = ["unsloth-2026.10.9/cpu/float32/mild", "reference-2026.10.9/cpu/float32/mild"]
KEY = f"training/gradient/{LORA[1]}"
OTHER = changed(first_step(), KEY, first_step().tensors[KEY] * 2)


@pytest.mark.parametrize(("other", "code"), [(first_step(), 0), (OTHER, 1)])
def test_the_exit_code_says_whether_something_differs(
    monkeypatch: pytest.MonkeyPatch, other: FirstStep, code: int
) -> None:
    asked = []

    def explain_cells(plan: object, a: str, b: str, console: object) -> object:
        asked.append((a, b))
        return explain(first_step(), other)

    monkeypatch.setattr("harness.cli.explain.explain_cells", explain_cells)
    done = CliRunner().invoke(cli.app, ["explain", *CELLS])
    assert (done.exit_code, asked) == (code, [tuple(CELLS)])
    assert ("First difference" in done.output) == bool(code)


def test_a_cell_that_did_not_complete_is_an_error_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def explain_cells(*_: object) -> None:
        raise IncompleteError("a cell ended as TIMEOUT")

    monkeypatch.setattr("harness.cli.explain.explain_cells", explain_cells)
    monkeypatch.setattr("sys.argv", ["harness", "explain", *CELLS])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == IncompleteError.exit_code
    assert "ended as TIMEOUT" in capsys.readouterr().err
