"""`harness schema`: what a file of a run may hold, for those who read it with their own tools."""

from typing import Annotated

import typer

from harness.schemas import Document, as_text


def schema(
    document: Annotated[
        Document, typer.Argument(help="Of result.json, of a record's file, or of update.json.")
    ],
) -> None:
    """Print the JSON Schema of the files that this harness writes."""
    typer.echo(as_text(document), nl=False)
