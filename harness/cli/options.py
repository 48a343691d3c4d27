"""Options that several commands have in common, each said once."""

from pathlib import Path
from typing import Annotated

import typer

MatrixFile = Annotated[Path, typer.Option("--matrix", help="Matrix file.")]
Model = Annotated[str | None, typer.Option(help="A checkpoint folder in place of the fixture.")]
Data = Annotated[str | None, typer.Option(help=".tsv or .jsonl of source / target pairs.")]
Scale = Annotated[str | None, typer.Option(help="An entry of the matrix file's table `scales`.")]
Jobs = Annotated[int | None, typer.Option(help="Cells at once, at most.")]
Timeout = Annotated[float | None, typer.Option(help="Seconds for one cell.")]
Fresh = Annotated[bool, typer.Option(help="Run finished cells again.")]
Out = Annotated[Path | None, typer.Option(help="Write the table here, too.")]
