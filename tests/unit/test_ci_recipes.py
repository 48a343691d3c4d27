"""The workflows and the documented recipes: YAML that parses, commands that the command line and nox take."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.core
import typer.main
import yaml

import noxfile
from harness.cli import main as cli
from harness.runners import read_runners

ROOT = Path(noxfile.__file__).parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
GUIDE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def workflow(name: str) -> dict[str, Any]:
    found = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def commands(text: str, program: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of a program in a script, optional ones included."""
    text = re.sub(r"\$\{\w+:\+([^}]*)\}", r"\1", text)
    for line in text.splitlines():
        for call in re.findall(rf"(?:^|[\s/\"'])({program} [^#|;>]*)", line):
            # What a script in quotes of its own ends with.
            body = call.strip().rstrip(")").rstrip()
            body = body[:-1] if body.count("'") % 2 else body
            yield shlex.split(body)[1:]


def scripts() -> Iterator[tuple[str, str]]:
    """Yield each script of CI, by name."""
    for path in WORKFLOWS:
        for job in workflow(path.name)["jobs"].values():
            for step in job.get("steps", []):
                if "run" in step:
                    yield path.name, step["run"]
    for language in ("console", "yaml", "groovy"):
        yield from ((language, block) for block in blocks(language))


HARNESS = [(name, call) for name, text in scripts() for call in commands(text, "harness")]
NOX = [(name, call) for name, text in scripts() for call in commands(text, "nox -s")]
NOX += [("run", call) for call in commands((ROOT / ".ci" / "run").read_text(), "nox -s")]


def parse(call: list[str]) -> None:
    """Parse and convert the arguments of a command, and run nothing."""
    group = typer.main.get_command(cli.app)
    assert isinstance(group, typer.core.TyperGroup)
    name, *arguments = call
    group.commands[name].make_context(name, list(arguments))


@pytest.mark.parametrize(("where", "call"), HARNESS)
def test_every_harness_command_is_one_that_it_takes(where: str, call: list[str]) -> None:
    parse(call)


def test_a_command_that_it_does_not_take_is_seen() -> None:
    with pytest.raises(Exception, match="No such option: --marge"):
        parse(["upgrade", "--marge", "runs"])


@pytest.mark.parametrize(("where", "call"), NOX)
def test_every_nox_session_is_there(where: str, call: list[str]) -> None:
    assert call[0] == "-s"
    assert callable(getattr(noxfile, call[1]))


def test_each_kind_of_recipe_has_its_commands() -> None:
    found = {where for where, _ in HARNESS}
    assert found >= {"gate.yml", "console", "yaml", "groovy"}
    assert [call[0] for where, call in HARNESS if where == "gate.yml"] == [
        "upgrade",
        "cells",
        "upgrade",
        "upgrade",
    ]
    assert NOX


def test_only_the_verdict_may_write_and_it_always_runs() -> None:
    gate = workflow("gate.yml")
    jobs = gate["jobs"]
    assert gate["permissions"] == {}
    assert jobs["plan"]["permissions"] == jobs["run"]["permissions"] == {"contents": "read"}
    assert jobs["verdict"]["permissions"]["pull-requests"] == "write"
    assert jobs["verdict"]["if"] == "always()"
    assert jobs["run"]["strategy"]["fail-fast"] is False


def test_no_expression_of_a_pull_request_is_pasted_into_a_script() -> None:
    for name, script in scripts():
        if name.endswith(".yml"):
            assert "${{" not in script


def test_the_recipes_in_yaml_and_toml_parse() -> None:
    github, gitlab = (yaml.safe_load(block) for block in blocks("yaml"))
    # YAML 1.1 reads `on` as true.
    inputs = dict[Any, Any](workflow("gate.yml"))[True]["workflow_call"]["inputs"]
    assert set(github["jobs"]["gate"]["with"]) <= set(inputs)
    assert gitlab["verdict"]["when"] == "always"
    (toml,) = blocks("toml")
    assert set(tomllib.loads(toml)["runners"]) == {"cpu", "t4"}


def test_the_runners_of_the_guide_are_ones_that_are_read(tmp_path: Path) -> None:
    path = tmp_path / "runners.toml"
    path.write_text(blocks("toml")[0], encoding="utf-8")
    assert read_runners(path)["t4"].gpu == "t4"
