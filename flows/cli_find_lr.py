"""The verb `find-lr`. Kept light, as `cli.py` is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli_options import DEFAULT, File, Json, Name, Set, load, print_json

Model = Annotated[str | None, typer.Option("--model", help="the train entry; the first where none is named")]
Output = Annotated[Path, typer.Option("--output", help="the folder for the picture")]
Steps = Annotated[int, typer.Option("--steps", min=10, help="how many rates are tried")]


def register(app: typer.Typer) -> None:
    """Put the verb into the command line."""
    app.command("find-lr")(find_lr)


def find_lr(
    name: Name,
    model: Model = None,
    steps: Steps = 100,
    output: Output = Path(),
    file: File = DEFAULT,
    set: Set = None,
    json: Json = False,
) -> None:
    """Try growing learning rates on a model that is thrown away, and suggest one; writes a picture and nothing else."""
    from storage.quiet import be_quiet

    be_quiet()
    config = load(file, set, name)
    from flows.find_lr import find, found_text
    from flows.output import try_folder

    try_folder("--output", str(output))
    found = find(config, name, model, steps, str(output))
    if json:
        print_json({"schema": 1, "status": "completed", "errors": [], **found})
    else:
        print(found_text(found))
