import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from harness import reports
from harness.cli.main import app
from harness.dependency_update import update as updates
from harness.dependency_update.update import Update
from harness.errors import ConfigError, CorruptRecordError
from harness.gate import GateResult
from harness.locations import PACKAGE
from harness.record import Record, read_record, write_record
from harness.schemas import Document, schema
from harness.strict_json import NON_FINITE, with_figures
from harness.verdict import Outcome, Verdict
from tests.unit.dependency_updates import update
from tests.unit.gate_results import cell, gate, mixed, regression
from tests.unit.records import NAN, make_record

DOCS = PACKAGE.parent / "docs" / "schemas"
COMMITTED_RECORDS = sorted((PACKAGE.parent / "reports" / "gpu").rglob("*.json"))

figures = st.floats() | st.integers() | st.none() | st.booleans()
texts = st.text().filter(lambda text: text not in NON_FINITE)
values = st.recursive(
    figures | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
plain = st.dictionaries(st.text(), values, max_size=4)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))


def strict(text: str | bytes) -> Any:
    """Parse as every parser but Python's default does."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def problems(document: Document, data: Any) -> list[str]:
    found = Draft202012Validator(schema(document)).iter_errors(data)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in found]


@pytest.mark.parametrize("document", Document)
def test_the_published_schema_is_the_one_of_the_models(document: Document) -> None:
    """After a change: `harness schema result > docs/schemas/result-1.schema.json`."""
    published = json.loads((DOCS / document.file_name).read_text(encoding="utf-8"))
    assert published == schema(document)
    Draft202012Validator.check_schema(published)


@pytest.mark.parametrize("document", Document)
def test_the_command_prints_it(document: Document) -> None:
    printed = CliRunner().invoke(app, ["schema", document]).output
    assert printed == (DOCS / document.file_name).read_text(encoding="utf-8")


def test_fields_are_described_by_their_docstrings() -> None:
    made = schema(Document.RESULT)
    assert made["$defs"]["CellResult"]["properties"]["reused"]["description"] == (
        "The record was measured by an earlier run and not run again."
    )
    assert made["title"] == "gemma-lora-gate result, version 1"
    assert made["description"]


@pytest.mark.parametrize("result", [mixed(), regression(), gate()], ids=["mixed", "steps", "empty"])
def test_a_written_result_is_strict_json_of_its_schema(result: GateResult, tmp_path: Path) -> None:
    reports.write(result, tmp_path)
    assert problems(Document.RESULT, strict((tmp_path / "result.json").read_bytes())) == []


def test_a_written_record_is_strict_json_of_its_schema(tmp_path: Path) -> None:
    record = make_record(
        evaluations=[NAN, math.inf, -math.inf, None], recipe={"max_grad_norm": math.inf}
    )
    write_record(record, tmp_path / "one.json")
    data = strict((tmp_path / "one.json").read_bytes())
    assert problems(Document.RECORD, data) == []
    assert [e["eval_loss"] for e in data["evaluations"]] == ["NaN", "Infinity", "-Infinity", None]
    assert data["recipe"]["max_grad_norm"] == "Infinity"


@pytest.mark.parametrize(
    "written",
    [update(), Update(file="uv.lock"), Update(file="")],
    ids=["one", "nothing", "no file"],
)
def test_a_saved_update_is_strict_json_of_its_schema(written: Update, tmp_path: Path) -> None:
    before, saved = tmp_path / "before.json", tmp_path / "saved.json"
    before.write_text(written.model_dump_json(exclude={"schema_version"}))
    options = ["upgrade", "--update", str(before), "--save", str(saved)]
    assert CliRunner().invoke(app, options).exit_code == 0
    data = strict(saved.read_bytes())
    assert data["schema_version"] == 1
    assert problems(Document.UPDATE, data) == []
    assert updates.load(saved) == written


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"schema_version": 2}, "schema_version"),
        ({"moved": [{"name": "trl", "old": "1", "new": "2"}]}, "moved.0"),
        ({"new": {"version": "1"}}, "new"),
        ({"unheard_of": 1}, ""),
    ],
)
def test_what_is_no_update_is_not_of_the_schema_and_is_not_read(
    changes: dict[str, Any], where: str, tmp_path: Path
) -> None:
    data = {**strict(update().model_dump_json()), **changes}
    assert any(found.startswith(f"{where}:") for found in problems(Document.UPDATE, data))
    (tmp_path / "update.json").write_text(json.dumps(data))
    with pytest.raises(ConfigError, match=f"no update that this harness reads: {where}.*--save"):
        updates.load(tmp_path / "update.json")


def test_committed_records_are_of_the_schema() -> None:
    assert COMMITTED_RECORDS
    for path in COMMITTED_RECORDS:
        assert problems(Document.RECORD, strict(path.read_bytes())) == [], path
        read_record(path)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"status": "FINE"}, "status"),
        ({"schema_version": 2}, "schema_version"),
        ({"steps": [{"step": 1}]}, "steps.0"),
        ({"duration_s": "nan"}, "duration_s"),
        ({"unheard_of": 1}, ""),
    ],
)
def test_what_is_no_record_is_not_of_the_schema(changes: dict[str, Any], where: str) -> None:
    data = {**strict(make_record().model_dump_json()), **changes}
    assert any(found.startswith(f"{where}:") for found in problems(Document.RECORD, data))


@given(figure=st.none() | st.floats(), arguments=plain, evidence=plain)
def test_every_figure_survives_to_the_bit(
    figure: float | None, arguments: dict[str, Any], evidence: dict[str, Any]
) -> None:
    record = make_record(evaluations=[figure], executed={"arguments": arguments})
    verdict = Verdict(check="c", cell_id="x", outcome=Outcome.PASS, message="m", evidence=evidence)
    result = gate(cell(record).model_copy(update={"verdicts": [verdict]}))

    text = result.model_dump_json()
    back = GateResult.model_validate_json(text).cells[0]

    strict(text)
    assert back.record.executed is not None
    assert repr(back.record.evaluations[0].eval_loss) == repr(figure)
    assert repr(back.record.executed.arguments) == repr(arguments)
    assert repr(back.verdicts[0].evidence) == repr(evidence)
    assert strict(back.record.model_dump_json()) == strict(record.model_dump_json())


@given(values)
def test_words_for_figures_are_put_back_once(value: Any) -> None:
    assert repr(with_figures(value)) == repr(value)


def test_a_record_of_before_with_bare_constants_is_the_same(tmp_path: Path) -> None:
    record = make_record(
        evaluations=[NAN, math.inf], executed={"arguments": {"max_grad_norm": math.inf}}
    )
    former = json.dumps(record.model_dump(mode="json"))
    assert "Infinity}" in former
    assert "NaN," in former
    (tmp_path / "former.json").write_text(former)
    write_record(record, tmp_path / "new.json")
    assert repr(read_record(tmp_path / "former.json")) == repr(read_record(tmp_path / "new.json"))


def test_a_result_of_before_is_rendered_to_the_same_page(tmp_path: Path) -> None:
    reports.write(mixed(), tmp_path / "new")
    data = mixed().model_dump(mode="json", exclude={"schema_version"})
    (tmp_path / "former").mkdir()
    (tmp_path / "former" / "result.json").write_text(json.dumps(data))
    reports.write(reports.load(tmp_path / "former"), tmp_path / "again")
    for name in ("result.json", "report.html", "summary.md"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "new" / name).read_bytes()


def test_a_result_of_a_later_version_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports.write(mixed(), tmp_path)
    path = tmp_path / "result.json"
    later = {**json.loads(path.read_text()), "schema_version": 2, "harness_version": "9.1"}
    path.write_text(json.dumps(later))
    with pytest.raises(CorruptRecordError) as caught:
        reports.load(tmp_path)
    assert str(caught.value).endswith(
        "has schema_version 2; this harness reads 1. Read it with the release that wrote it "
        "(harness 9.1), or delete it and run its cells again."
    )
    assert caught.value.exit_code == 16


def test_the_model_of_a_record_is_the_one_of_the_schema() -> None:
    assert set(schema(Document.RECORD)["properties"]) == set(Record.model_fields)
