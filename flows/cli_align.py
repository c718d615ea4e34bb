"""The verb `align`. Kept light, as `cli.py` is."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli_options import DEFAULT, File, Json, Local, Name, Set, load, run_steps

FORMATS = ("json", "TextGrid", "ctm")

Output = Annotated[str, typer.Option("--output", help="the folder (or address) to write; files mirror the recordings")]
Model = Annotated[
    str | None, typer.Option("--model", help="a train entry with objective ctc; the first where not given")
]
Source = Annotated[
    str | None,
    typer.Option("--source", help="a manifest, or a folder with a .txt beside each recording; else the dataset"),
]
Split = Annotated[str | None, typer.Option("--split", help="only this one of the dataset: train, dev, test, …")]
To = Annotated[
    list[str] | None, typer.Option("--to", help="json, TextGrid or ctm (repeatable); all where not given, json always")
]


def register(app: typer.Typer) -> None:
    """Put the verb into the command line."""
    app.command()(align)


def align(
    name: Name,
    output: Output,
    model: Model = None,
    source: Source = None,
    split: Split = None,
    to: To = None,
    file: File = DEFAULT,
    set: Set = None,
    local: Local = False,
    json: Json = False,
) -> None:
    """When is each word said? Align known texts with their recordings."""
    config = load(file, set, name)
    from flows.align import check
    from flows.output import try_folder
    from flows.run import AlignRequest

    request = AlignRequest(output=output, model=model, source=source, split=split, formats=_formats(to))
    check(config.pipeline(name), request)  # what cannot be is said before anything starts
    try_folder("--output", output)
    run_steps(config, name, local, json, steps=("align",), align=request)


def _formats(asked: list[str] | None) -> tuple[str, ...]:
    """The formats by their own names, in whatever case they were typed."""
    names = {each.lower(): each for each in FORMATS}
    unknown = [each for each in asked or () if each.lower() not in names]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]}: there is no such format; there are {', '.join(FORMATS)}")
    return tuple(names[each.lower()] for each in asked) if asked else FORMATS
