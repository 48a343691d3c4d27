"""`harness doctor`: before any training."""

import json
from typing import Annotated

import typer

from harness.cli.terminal import console
from harness.doctor.diagnosis import as_dict, diagnose, render
from harness.hardware import detect


def doctor(
    hardware: Annotated[
        str | None, typer.Option(help="A card you may not have: t4, l4 ...")
    ] = None,
    model: Annotated[str, typer.Option(help="270m, 1b, 4b, 12b, 27b, or a folder.")] = "4b",
    batch_size: Annotated[int, typer.Option(min=1)] = 2,
    seq_len: Annotated[int, typer.Option(min=1)] = 2048,
    lora_r: Annotated[int, typer.Option(min=1)] = 8,
    *,
    load_in_4bit: Annotated[bool, typer.Option()] = False,
    gradient_checkpointing: Annotated[bool, typer.Option()] = True,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Say before any training which precision fits this hardware, and whether the model does."""
    diagnosis = diagnose(
        detect(),
        hardware=hardware,
        model=model,
        batch_size=batch_size,
        seq_len=seq_len,
        load_in_4bit=load_in_4bit,
        gradient_checkpointing=gradient_checkpointing,
        lora_r=lora_r,
    )
    if as_json:
        typer.echo(json.dumps(as_dict(diagnosis), indent=1))
    else:
        console.print(render(diagnosis))
    raise typer.Exit(0 if diagnosis.fits else 1)
