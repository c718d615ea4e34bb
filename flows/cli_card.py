"""The verb `card`. Kept light, as `cli.py` is."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli_options import DEFAULT, File, Json, Name, Set, load, print_json

Model = Annotated[str, typer.Option("--model", help="the train entry; the first where not given")]


def register(app: typer.Typer) -> None:
    """Put the verb into the command line."""
    app.command()(card)


def card(name: Name, model: Model = "", file: File = DEFAULT, set: Set = None, json: Json = False) -> None:
    """The card of a model of the pipeline's last run, or of an entry's folds: data, figures, weaknesses, licence."""
    config = load(file, set, name)
    from flows.last_run import card_text

    text = card_text(config, name, model)
    if json:
        print_json({"schema": 1, "status": "completed", "errors": [], "card": text})
    else:
        print(text, end="")
