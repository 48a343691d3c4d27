import json
import shlex
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from harness import reports
from harness.cell_options import CellOptions, options_of
from harness.cli.main import app
from harness.gate import CellResult, judge_again
from harness.locations import FIXTURES
from harness.matrix import DEFAULT_MATRIX, Cell, Overrides
from harness.plan import Options, Plan
from harness.pytest_plugin import apply
from harness.record import write_record
from harness.reports import html, markdown, terminal
from tests.unit.gate_results import cell, frozen, gate
from tests.unit.records import make_record

CELL = "reference-2026.10.9/cpu/float32/mild"
GIVEN = CellOptions(
    matrix="my matrix.toml", model="~/gemma 3", data="pairs.tsv", scale="small", fault="f.py"
)
COMMAND = (
    f"harness run {CELL} --matrix 'my matrix.toml' --model '~/gemma 3' --data pairs.tsv "
    "--scale small --fault f.py"
)

words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
# pathlib rewrites `a//b` and `./a`, which name the same file.
paths = words.filter(lambda text: str(Path(text)) == text)


def parsed(command: str) -> dict[str, Any]:
    """Return what the real command line makes of a command."""
    program, name, *arguments = shlex.split(command)
    assert program == "harness"
    group = typer.main.get_command(app)
    (chosen,) = [sub for sub in group.commands.values() if sub.name == name]  # type: ignore[attr-defined]
    params: dict[str, Any] = chosen.make_context(name, arguments).params
    return params


@given(
    matrix=st.none() | paths,
    model=st.none() | words,
    data=st.none() | words,
    scale=st.none() | words,
    fault=st.none() | paths,
    cell_id=words.filter(lambda text: not text.startswith("-")),
)
def test_the_command_line_reads_back_what_was_printed(
    matrix: str | None,
    model: str | None,
    data: str | None,
    scale: str | None,
    fault: str | None,
    cell_id: str,
) -> None:
    options = CellOptions(matrix=matrix, model=model, data=data, scale=scale, fault=fault)

    found = parsed(options.rerun(cell_id))

    assert found["cell_ids"] == [cell_id]
    given = Options(
        matrix=found["matrix"],
        overrides=Overrides(found["model"], found["data"], found["scale"]),
        fault=found["fault"],
    )
    assert given.cell_options == options


def test_of_defaults_only_the_cell_is_printed() -> None:
    assert Options().cell_options.rerun(CELL) == f"harness run {CELL}"


def test_the_shipped_matrix_is_the_default_however_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(DEFAULT_MATRIX.parent)
    assert Options(Path("matrix.toml")).cell_options.matrix is None
    assert Options(Path("gpu.toml")).cell_options.matrix == "gpu.toml"


def test_the_printed_command_selects_the_same_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = DEFAULT_MATRIX.read_text().replace('model = "fixture:mild"', "batch_size = 2", 1)
    Path("other matrix.toml").write_text(text)
    Path("model").mkdir()
    Path("model/config.json").write_text("{}")
    Path("pairs.tsv").write_text("source\ttarget\nave\tciao\n")
    Path("fault.py").write_text("def install(context): ...\n")
    first = Options(
        Path("other matrix.toml"),
        Overrides(model="model", data="pairs.tsv", scale="small"),
        fault=Path("fault.py"),
    )
    seen: list[tuple[Plan, list[Cell]]] = []

    def stopped(plan: Plan, cells: list[Cell], _: object) -> None:
        seen.append((plan, cells))
        raise typer.Exit(0)

    monkeypatch.setattr("harness.cli.run.run_gate", stopped)
    command = first.cell_options.rerun(CELL)
    plan = Plan(first)

    assert CliRunner().invoke(app, shlex.split(command)[1:]).exit_code == 0
    assert CliRunner().invoke(app, ["run", CELL]).exit_code == 0

    keys = [again.once(one).experiment.key for again, (one,) in seen]
    expected = plan.once(plan.matrix.cell(CELL), fault=first.fault).experiment.key
    assert keys[0] == expected
    assert keys[1] != expected


def ran_with_options(one: CellResult) -> CellResult:
    record = one.record.model_copy(update={"cell_id": CELL})
    return one.model_copy(update={"record": record, "ran_with": GIVEN})


def test_every_report_prints_it() -> None:
    result = gate(ran_with_options(frozen()))
    assert COMMAND in markdown.render(result)
    assert COMMAND.replace("'", "&#39;") in html.render(result)
    assert any(COMMAND in line for line in printed(result.cells[0]))


def printed(one: CellResult) -> list[str]:
    file = StringIO()
    Console(file=file, width=400).print(terminal.summary(gate(one)))
    return file.getvalue().splitlines()


def test_the_answer_never_cuts_it() -> None:
    deep = CellOptions(model="/".join(["folder"] * 100))
    one = ran_with_options(frozen()).model_copy(update={"ran_with": deep})
    one.verdicts[1] = one.verdicts[1].model_copy(update={"advice": ()})
    assert one.rerun in markdown.render(gate(one))
    assert one.rerun in "".join(printed(one))


def test_a_failing_test_prints_it() -> None:
    one = ran_with_options(frozen())
    with pytest.raises(pytest.fail.Exception, match="again: ") as caught:
        apply(one.verdicts[1], one.rerun)
    assert str(caught.value).endswith(f"again: {COMMAND}")


def test_it_survives_the_result_and_another_judgement(tmp_path: Path) -> None:
    reports.write(gate(ran_with_options(cell())), tmp_path)
    loaded = reports.load(tmp_path)
    assert loaded.cells[0].rerun == COMMAND
    assert judge_again(loaded.cells)[0].rerun == COMMAND


def test_a_result_of_before_loads_and_falls_back_to_its_record(tmp_path: Path) -> None:
    reports.write(gate(cell()), tmp_path)
    path = tmp_path / "result.json"
    data = json.loads(path.read_text())
    del data["cells"][0]["ran_with"]
    path.write_text(json.dumps(data))
    loaded = reports.load(tmp_path).cells[0]
    assert loaded.ran_with is None
    assert loaded.rerun == f"harness run {loaded.record.cell_id}"


def test_a_bare_record_tells_model_data_and_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FIXTURES.parent)
    record = make_record(
        cell_id=CELL, fault="frozen_adapter", recipe={"model": "a model", "data": "fixture:x"}
    )
    assert options_of(record) == CellOptions(
        model="a model", fault=f"{FIXTURES.name}/faults/frozen_adapter.py"
    )
    write_record(record, tmp_path / "records" / "one.json")
    out = str(tmp_path / "out")
    CliRunner().invoke(app, ["report", str(tmp_path / "records"), "--out", out])
    assert "--model &#39;a model&#39; --fault" in (tmp_path / "out" / "report.html").read_text()


def test_an_unknown_fault_is_named_so_that_the_command_fails() -> None:
    assert options_of(make_record(fault="mine")).fault == "mine.py"
