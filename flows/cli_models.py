"""The verb `models`. Kept light, as `cli.py` is."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from flows.cli_options import DEFAULT, File, Json, load, print_json, print_text

Trained = Annotated[bool, typer.Option("--trained", help="the trained models in the store instead")]


def register(app: typer.Typer) -> None:
    """Put the verb into the command line."""
    app.command()(models)


def models(trained: Trained = False, file: File = DEFAULT, json: Json = False) -> None:
    """The kinds of models there are: objectives, input, parameters, paper. With --trained those in the store."""
    if trained:
        from flows.pages import model_rows, model_table

        rows = model_rows(load(file, None))
        text = model_table
    else:
        from flows.shelf import shelf_table
        from sorigil.models.shelf import entries

        rows = [dataclasses.asdict(entry) for entry in entries()]
        text = shelf_table
    if json:
        print_json({"schema": 1, "status": "completed", "errors": [], "models": rows})
    else:
        print_text(text(rows))
