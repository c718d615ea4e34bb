"""The verb `normalize`. Kept light, as `cli.py` is."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from flows.cli_options import Json, print_json

NormalizerOption = Annotated[
    str,
    typer.Option("--normalizer", help="none, basic, english, korean; a mapping in YAML; or a file.yaml that holds one"),
]
Texts = Annotated[list[str] | None, typer.Argument(help="the texts; lines from stdin where none is given")]


def register(app: typer.Typer) -> None:
    """Put the verb into the command line."""
    app.command()(normalize)


def normalize(texts: Texts = None, normalizer: NormalizerOption = "basic", json: Json = False) -> None:
    """What a normaliser makes of each line."""
    from flows.normalize import asked, described, lines_of, normalized

    spec = asked(normalizer)
    found = normalized(spec, texts or lines_of(sys.stdin.buffer))
    if json:
        print_json({"schema": 1, "status": "completed", "errors": [], **described(spec), "lines": list(found)})
        return
    for line in found:
        print(line["normalized"])
