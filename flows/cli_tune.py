"""The verb `tune`. Kept light, as `cli.py` is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

from flows.cli_options import DEFAULT, File, Json, Name, Set, load, print_json

Number = TypeVar("Number", int, float)
Model = Annotated[
    str | None, typer.Option("--model", help="a train entry with objective ctc; the first where not given")
]
Widths = Annotated[str | None, typer.Option("--beam-width", help="values to try, such as 8,32,128")]
Weights = Annotated[str | None, typer.Option("--lm-weight", help="values to try, such as 0,0.5,1,1.5")]
Insertions = Annotated[
    str | None, typer.Option("--insertion", help="values to try, such as -1,0,1 (write --insertion=-1,0,1)")
]
Lexicons = Annotated[str | None, typer.Option("--lexicon", help="values to try: true,false")]


def register(app: typer.Typer) -> None:
    """Put the verb into the command line."""
    app.command()(tune)


def tune(
    name: Name,
    model: Model = None,
    beam_width: Widths = None,
    lm_weight: Weights = None,
    insertion: Insertions = None,
    lexicon: Lexicons = None,
    file: File = DEFAULT,
    set: Set = None,
    json: Json = False,
) -> None:
    """Choose a decoder's numbers on the dev rows of a trained recogniser; says what to write into the configuration."""
    from storage.quiet import be_quiet

    be_quiet()
    grid = _numbers(beam_width, int), _numbers(lm_weight, float), _numbers(insertion, float), _truths(lexicon)
    config = load(file, set, name)
    from flows.tune import tune as tuned
    from flows.tune import tuned_text

    found = tuned(config, name, model, *grid)
    if json:
        print_json({"schema": 1, "status": "completed", "errors": [], **found})
    else:
        print(tuned_text(found))


def _truths(text: str | None) -> list[bool]:
    found = text.split(",") if text else []
    if not {"true", "false"}.issuperset(found):
        raise typer.BadParameter(f"{text!r}; expected true, false or true,false")
    return [each == "true" for each in found]


def _numbers(text: str | None, kind: Callable[[str], Number]) -> list[Number]:
    try:
        found = [kind(each) for each in text.split(",")] if text else []
        if not all(map(math.isfinite, found)):
            raise ValueError
        return found
    except ValueError:
        raise typer.BadParameter(f"{text!r}; expected numbers with commas between, such as 8,32") from None
