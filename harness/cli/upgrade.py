"""`harness upgrade`: is a pull request that updates dependencies safe to merge?"""

import os
from pathlib import Path
from typing import Annotated

import typer

from harness import reports
from harness.cli.options import Data, Fresh, Jobs, MatrixFile, Model, Scale, Timeout
from harness.cli.terminal import console, interruptible, say
from harness.dependency_update import annotations, comment
from harness.dependency_update import update as updates
from harness.dependency_update.running import Answered, put_together, run_here
from harness.dependency_update.update import Update
from harness.errors import IncompleteError
from harness.matrix import DEFAULT_MATRIX, Overrides
from harness.plan import Options
from harness.record import write_json_atomically
from harness.reports import terminal
from harness.reports.wording import count
from harness.runners import DEFAULT_RUNNERS, split_patterns


def upgrade(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[OLD NEW]", help="Two lock files.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="In place of files: what this branch moves since BASE.")
    ] = None,
    file: Annotated[
        str | None, typer.Option(help="The lock file, from the repository's root; else found.")
    ] = None,
    update: Annotated[
        Path | None, typer.Option(help="In place of files: what --save wrote.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Write what moved to this file, and run nothing.")
    ] = None,
    merge: Annotated[
        list[Path] | None, typer.Option(help="Answer from the runs below a folder; run nothing.")
    ] = None,
    runners: Annotated[
        Path, typer.Option(help="Which runners were to run, for --merge.")
    ] = DEFAULT_RUNNERS,
    chosen: Annotated[
        str | None, typer.Option("--cells", help="HARDWARE/DTYPE/RECIPE patterns, as A,B.")
    ] = None,
    matrix: MatrixFile = DEFAULT_MATRIX,
    model: Model = None,
    data: Data = None,
    scale: Scale = None,
    jobs: Jobs = None,
    timeout: Timeout = None,
    comment_file: Annotated[
        Path | None,
        typer.Option("--comment", help="Write the comment for the pull request here, too."),
    ] = None,
    *,
    fresh: Fresh = False,
    allow_no_answer: Annotated[
        bool, typer.Option("--allow-no-answer", help="End with 0 in place of 19.")
    ] = False,
) -> None:
    """Compare the fine-tuning stack of two lock files: what moved, and is it safe on this hardware?"""
    found = _update(files or [], base, file, update)
    if save:
        write_json_atomically(save, found.model_dump_json(indent=1) + "\n")
    _show(found)
    if save:
        raise typer.Exit
    if not found.moved:
        _hand_over(comment.render(found, None, None), comment_file)
        raise typer.Exit
    overrides = Overrides(model, data, scale, found.releases)
    options = Options(matrix, overrides, jobs, fresh, timeout)
    patterns = split_patterns(chosen)
    if merge:
        answered = put_together(found, merge, runners, options, patterns, console)
    else:
        with interruptible():
            answered = run_here(found, options, patterns, console)
    _tell(found, answered)
    _hand_over((answered.folder / reports.SUMMARY_NAME).read_text(encoding="utf-8"), comment_file)
    code = answered.answer.exit_code
    tolerated = allow_no_answer and code == IncompleteError.exit_code
    raise typer.Exit(0 if tolerated else code)


def _update(files: list[Path], base: str | None, file: str | None, saved: Path | None) -> Update:
    if [bool(files), base is not None, saved is not None].count(True) != 1:
        raise typer.BadParameter("give two lock files, or --base REF, or --update FILE")
    if saved:
        return updates.load(saved)
    if base is not None:
        return updates.of_branch(base, file)
    if len(files) != 2:
        raise typer.BadParameter(f"two lock files, the old and the new: {len(files)} given")
    return updates.of_files(*files)


def _show(update: Update) -> None:
    if not update.moved:
        say(comment.nothing_moved(update))
        return
    say(f"{update.file}: {count(len(update.moved), 'package')} of the fine-tuning stack moved")
    for line in updates.describe(update):
        say(f"  {line}")
    say(f"compares the releases {','.join(update.releases)}")


def _tell(update: Update, answered: Answered) -> None:
    answer, folder = answered.answer, answered.folder
    if answered.result:
        terminal.show(answered.result, folder / reports.PAGE_NAME, console)
    say(f"\n{answer.title}")
    for reason in answer.reasons:
        say(f"  {reason}")
    say(f"comment: {folder / reports.SUMMARY_NAME}")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for command in annotations.commands(update, answer):
            typer.echo(command)


def _hand_over(text: str, file: Path | None) -> None:
    if file:
        write_json_atomically(file, text)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as stream:
            stream.write(f"{text}\n")
